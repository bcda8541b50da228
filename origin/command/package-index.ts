// `nixport index`: makes the index of all names of a package set by hand, as a serving origin makes it behind
// everything else.

import { join } from "node:path";
import { parseArgs } from "node:util";
import { SYSTEMS, type System, systemOf } from "../../registry/naming/recipe.ts";
import { LATEST, parseTag, type Tag } from "../../registry/naming/reference.ts";
import { type Config, readConfig } from "../configuration/config.ts";
import { createLog } from "../log/log.ts";
import { findNix, type NixTool } from "../nix/nix-tool.ts";
import type { MakingStage } from "../package-index/evaluate-set.ts";
import { type MadeIndex, makeIndex } from "../package-index/make.ts";
import { configured } from "../sources/configured.ts";
import type { PinnedTag } from "../sources/pins.ts";
import { createResolver } from "../sources/resolve.ts";
import { describeSource } from "../sources/source.ts";
import { openTrees } from "../sources/trees.ts";
import { openStorage } from "../storage/open-storage.ts";
import { createSlots } from "../waiting/slots.ts";
import { describeDuration } from "../words/quantities.ts";
import { localEnvironment } from "./local-environment.ts";
import { fail, UsageError, wrongConfiguration } from "./process.ts";
import { showProgress } from "./progress.ts";
import type { CommandContext, Subcommand } from "./subcommand.ts";

const HELP = `usage: npm run nixport -- index [--tag <tag>] [--system <system>] [--json]

Finds out what Nix says of every name of the package set that the environment configures for npm run
origin, and stores it where that has its storage: from then on a pull of any of them starts no evaluation.
An origin that serves uses it within a minute. It is made in slices, each of which is stored: what was
ended goes on with the next run. Exit code 1: it could not be made. 2: bad usage.

  --tag <tag>        the revision that this tag has (latest)
  --system <system>  ${SYSTEMS.join(" or ")}; without it those of NIXPORT_PLATFORMS
  --json             a line of JSON for each
`;

const OPTIONS = {
  tag: { type: "string", default: LATEST },
  system: { type: "string", multiple: true },
  json: { type: "boolean", default: false },
} as const;

export const index: Subcommand = {
  summary: "find out what every name of the package set means",
  help: HELP,
  run: async (args, context) => {
    const { values } = parseArgs({ args: [...args], options: OPTIONS });
    const tag = parseTag(values.tag);
    if (tag === undefined) throw new UsageError(`--tag is ${JSON.stringify(values.tag)}: no tag`);
    const named = values.system?.map(namedSystem);
    await makeAll(tag, named, values.json, context);
  },
};

function namedSystem(text: string): System {
  const system = SYSTEMS.find((each) => each === text);
  if (system !== undefined) return system;
  throw new UsageError(`--system is ${JSON.stringify(text)}: ${SYSTEMS.join(" or ")}`);
}

const say = (line: string) => process.stderr.write(`${line}\n`);
async function makeAll(
  tag: Tag,
  named: readonly System[] | undefined,
  isJson: boolean,
  context: CommandContext,
): Promise<void> {
  const env = await localEnvironment(context.env, say);
  context.signal.throwIfAborted();
  const read = readConfig(env);
  if (read.kind === "invalid") fail(wrongConfiguration(read.problems));
  const { config } = read;
  const { evaluationDeadlineMs, evaluationMemoryBytes } = config;
  const nix = await findNix({ env, evaluationDeadlineMs, evaluationMemoryBytes });
  if (nix === undefined) fail("no Nix on PATH");
  const pinned = await resolve(tag, nix, config, { ...context, env });
  for (const system of new Set(named ?? config.platforms.map(systemOf))) {
    const made = await makeOne({ pinned, system }, nix, config, { ...context, env });
    const what = { tag, pin: pinned.pin, system };
    if (isJson) process.stdout.write(`${JSON.stringify({ ...what, ...factsOf(made) })}\n`);
    else process.stdout.write(`${describe(made, config, system)}\n`);
  }
}

interface LocalContext {
  readonly env: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

async function resolve(
  tag: Tag,
  nix: NixTool,
  { source, nixpkgsConfig }: Config,
  { env, signal }: LocalContext,
): Promise<PinnedTag> {
  const resolver = createResolver({ source, nix, env, now: Date.now, signal });
  const resolution = await resolver.resolve(tag);
  signal.throwIfAborted();
  if (resolution.kind !== "pinned") fail(resolution.message);
  return configured({ ...resolution, resolvedAtMs: Date.now() }, nixpkgsConfig);
}

async function makeOne(
  wanted: { readonly pinned: PinnedTag; readonly system: System },
  nix: NixTool,
  config: Config,
  { env, signal }: LocalContext,
): Promise<Exclude<MadeIndex, { kind: "not-made" }>> {
  const now = Date.now;
  const log = createLog({ ...config.logStyle, level: "warn" });
  const { store } = await openStorage(config, { now, log });
  const trees = await openTrees({
    ...{ nix, env, store, log, now, signal, folder: join(config.statePath, "sources") },
    ...{ deadlineMs: config.fetchDeadlineMs, maxQueue: 1 },
    // What an origin has there is its own to let go.
    ...{ keepMs: Number.POSITIVE_INFINITY, maxTrees: Number.POSITIVE_INFINITY },
    pinsOfTags: async () => new Set(),
  });
  const progress = showProgress(process.stderr, `index for ${wanted.system}`, now);
  const onStage = (stage: MakingStage) => {
    if (stage.kind === "evaluating") progress.update(stage.done, stage.total, "names");
    else progress.update(0, 0, stage.kind);
  };
  const slots = createSlots({ atOnce: 1, waiting: 0 });
  const { indexSets: sets } = config;
  const making = { nix, trees, store, slots, sets, log, now, onStage, quiet: async () => {} };
  try {
    const made = await makeIndex(wanted, making, signal);
    if (made.kind === "not-made") fail(`the index was not made: ${made.reason}`);
    return made;
  } finally {
    progress.end();
    await trees.settled();
  }
}

function factsOf(made: Exclude<MadeIndex, { kind: "not-made" }>) {
  const { root, kind, ...facts } = made;
  return { names: root.count, madeAtMs: root.madeAtMs, isNew: kind === "made", ...facts };
}

function describe(
  made: Exclude<MadeIndex, { kind: "not-made" }>,
  { source }: Config,
  system: System,
): string {
  const of = `the index of ${describeSource(source)} for ${system}`;
  if (made.kind === "there") return `${of} is there already: ${made.root.count} names`;
  const { packages, unexplained, evaluatedMs } = made;
  const took = describeDuration(evaluatedMs);
  return `${of}: ${made.root.count} names, ${packages} packages, ${unexplained} unexplained, evaluated in ${took}`;
}
