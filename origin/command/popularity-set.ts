// `nixport popularity` of a package set: the closures of all its packages, as far as they are
// known.

import { join } from "node:path";
import type { FoundPackage } from "../../registry/image/lookup.ts";
import { SYSTEMS } from "../../registry/naming/recipe.ts";
import { LATEST } from "../../registry/naming/reference.ts";
import type { StorePath } from "../../registry/naming/store-path.ts";
import type { Config } from "../configuration/config.ts";
import type { PopularityData } from "../layers/popularity.ts";
import { buildPolicy } from "../nix/build-policy.ts";
import { queryClosure } from "../nix/closure.ts";
import { clearRoots } from "../nix/gc-roots.ts";
import { findNix, type NixTool } from "../nix/nix-tool.ts";
import type { PinnedSource } from "../nix/pinned-source.ts";
import { realise } from "../nix/realise.ts";
import { findInvalid } from "../nix/validity.ts";
import { listPackages } from "../popularity/package-set.ts";
import { countDerivations, countOutputs, toReferences } from "../popularity/set-counts.ts";
import { configured } from "../sources/configured.ts";
import { createResolver } from "../sources/resolve.ts";
import { askCache, type CacheOptions } from "./popularity-list.ts";
import { fail } from "./process.ts";

/** What one command line of Nix's can name. */
const MOST_ATTRIBUTES = 10_000;
const EVALUATION_DEADLINE_MS = 3_600_000;

export interface SetOptions extends Omit<CacheOptions, "cache"> {
  /** Absent: no cache is asked. */
  readonly cache: string | undefined;
  readonly realise: boolean;
  readonly derivations: boolean;
}

interface SetContext {
  readonly env: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

type Graph = Map<StorePath, readonly StorePath[]>;

export async function countSet(
  options: SetOptions,
  config: Config,
  context: SetContext,
): Promise<PopularityData> {
  const { env, signal } = context;
  const nix = await findNix({
    ...{ env, evaluationDeadlineMs: EVALUATION_DEADLINE_MS },
    evaluationMemoryBytes: config.evaluationMemoryBytes,
  });
  if (nix === undefined) fail("no Nix on PATH");
  const { packages, others } = await listSet(nix, await latest(nix, config, context), signal);
  const kind = options.derivations ? "derivations" : "closures";
  const counted = options.derivations
    ? await countDerivations(nix, packages, signal)
    : countOutputs(await closuresOf(packages, nix, options, config, context), packages);
  signal.throwIfAborted();
  if (counted.counted === 0) {
    fail(
      `none of ${packages.length} packages is known: --realise builds them, --cache asks a binary cache, --derivations counts what they are built with`,
    );
  }
  const gaps = [
    ...(counted.left > 0 ? [`${counted.left} not known, left out`] : []),
    ...(others > 0 ? [`${others} other attributes`] : []),
  ].join("; ");
  process.stderr.write(
    `${kind} of ${counted.counted} of ${packages.length} packages${gaps && ` (${gaps})`}: ${counted.counts.size} packages\n`,
  );
  return { kind, counted: counted.counted, counts: counted.counts };
}

async function latest(
  nix: NixTool,
  config: Config,
  { env, signal }: SetContext,
): Promise<PinnedSource> {
  const resolver = createResolver({ source: config.source, nix, env, now: Date.now, signal });
  const resolution = await resolver.resolve(LATEST);
  signal.throwIfAborted();
  if (resolution.kind !== "pinned") fail(resolution.message);
  return configured(resolution, config.nixpkgsConfig).source;
}

async function listSet(nix: NixTool, source: PinnedSource, signal: AbortSignal) {
  const problems: string[] = [];
  for (const system of SYSTEMS) {
    const limits = { mostAttributes: MOST_ATTRIBUTES, signal };
    const list = await listPackages({ nix, source, system, ...limits });
    signal.throwIfAborted();
    if (list.kind === "listed" && list.packages.length > 0) return list;
    if (list.kind === "listed") problems.push(`no package for ${system}`);
    else if (list.kind === "failed") problems.push(list.message);
    else fail(`the package set cannot be counted: ${list.kind}`);
  }
  fail(`the package set cannot be counted: ${problems.join("; ")}`);
}

/** What is realised, as Nix knows it; of the rest what the cache knows, if one is to be asked. */
async function closuresOf(
  packages: readonly FoundPackage[],
  nix: NixTool,
  options: SetOptions,
  config: Config,
  { env, signal }: SetContext,
): Promise<Graph> {
  const release = options.realise ? await realiseAll(packages, nix, config, signal) : undefined;
  try {
    const outputs = packages.flatMap((each) => each.outputs.map(({ path }) => path));
    const invalid = await findInvalid(nix, outputs, signal);
    const valid = outputs.filter((path) => !invalid.has(path));
    const graph = toReferences(await queryClosure(nix, valid, signal));
    const { cache, concurrency } = options;
    if (cache !== undefined && invalid.size > 0) {
      const missing = outputs.filter((path) => invalid.has(path));
      await askCache(
        { cache, concurrency },
        missing,
        ({ path, references }) => graph.set(path, references),
        { env, signal },
      );
    }
    return graph;
  } finally {
    await release?.();
  }
}

/** Builds what can be built; what cannot is said, and left out of the counts. */
async function realiseAll(
  packages: readonly FoundPackage[],
  nix: NixTool,
  config: Config,
  signal: AbortSignal,
): Promise<() => Promise<void>> {
  const rootsDir = join(config.statePath, "popularity-roots");
  const { builderTimeoutSeconds } = config;
  // A run that was killed has left its own, which would keep all of the set in the store.
  await clearRoots(rootsDir);
  const result = await realise(nix, packages, {
    // The limit of a pull is none of a whole set's, unless the operator has set one.
    policy: { ...buildPolicy(config, nix.settings), maxSourceBuilds: config.maxSourceBuilds },
    ...{ rootsDir, builderTimeoutSeconds, signal, deadlineMs: EVALUATION_DEADLINE_MS },
  });
  signal.throwIfAborted();
  switch (result.kind) {
    case "timed-out":
    case "cancelled":
      return fail(`the packages could not be realised: ${result.kind}`);
    case "build-failed":
      process.stderr.write(`${result.failures.length} packages could not be realised\n`);
      break;
    case "realised":
      break;
    default:
      return result satisfies never;
  }
  return result.release;
}
