// A registry of nixpkgs from its first start on, in a world that stands in for the real one: where
// the time goes of a first pull, of a new name, of a new revision, and of a channel that moves.

import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { canonicalRecipe } from "../../registry/naming/recipe.ts";
import { recipeOf } from "../registry/fixture.ts";
import { missingWorld, openWorld, type World } from "../stand-ins/world.ts";
import { interleave, median } from "./measure.ts";
import { pullManifest, type RunningOrigin, startOrigin } from "./origins.ts";
import type { Row, Section } from "./report.ts";
import { type LogLine, STAGES, type StageSeconds, secondsByStage, spanOf } from "./stages.ts";
import { watchEvaluators } from "./watch-evaluators.ts";
import type { Bench } from "./workbench.ts";

const CHANNEL = "nixos-unstable";
/** Besides those with known names. */
const PACKAGES = 3000;
const FIRST = "shell/git/htop";
const NEW_NAME = "jq";
/** Pulled before the channel moves, and made again with the two above when it has. */
const OTHERS = ["hello", "curl/tree", "vim", "python3packages.numpy"];
const TRACKED = [FIRST, NEW_NAME, ...OTHERS];
const RAISED = ["hello", "htop", "jq"];
/** Seconds: nobody looks for a move while other pulls are measured, and soon after. */
const NIXPORT_PIN_FRESH = "30";
const MOVE_DEADLINE_MS = 120_000;
const LOOK_EVERY_MS = 200;

/** Milliseconds of the wall clock, which the log's lines have too. */
interface Window {
  readonly fromMs: number;
  readonly untilMs: number;
}

interface Case {
  readonly name: string;
  readonly seconds: StageSeconds;
  readonly evaluator: Evaluator;
}

interface Evaluator {
  /** Of the last evaluation, as Nix counts it. */
  readonly cpuSeconds: number;
  readonly allocatedBytes: number;
  /** Of all evaluations of the case. */
  readonly peakRssBytes: number;
}

interface Round {
  readonly cases: readonly Case[];
  readonly refreshed: readonly Case[];
}

export async function measureNixpkgs({ scratch, rounds }: Bench): Promise<Section> {
  const missing = missingWorld();
  const samples =
    missing === false
      ? await interleave([["round", () => measureRound(join(scratch, "nixpkgs"))]], rounds)
      : new Map<string, readonly Round[]>();
  const all = samples.get("round") ?? [];
  return {
    name: "nixpkgs",
    title: `a made-up nixpkgs of ${PACKAGES} packages, from an empty store on: seconds by stage`,
    tables: missing === false ? [rowsOf(all.map(({ cases }) => cases)), imagesOf(all)] : [],
    bars: [],
    notes: [
      ...(missing === false ? [] : [`not measured: ${missing}`]),
      `first: from the start of the origin to the manifest of ${FIRST}, nothing in the store`,
      `new revision: ${FIRST} by a commit that nothing is known of; ${RAISED.join(", ")} are newer in it`,
      `channel moves: from the move being seen to all ${TRACKED.length} images of it being made, which nobody waits for`,
      "rest: what no stage says, such as starting, closures, views, storing, and waiting for a core",
      "the forge and the cache share the cores of this machine, and no network lies between",
    ],
  };
}

async function measureRound(statePath: string): Promise<Round> {
  const options = { minver: "2.8", packages: PACKAGES, ownStore: true };
  const world = await openWorld(() => undefined, options);
  try {
    return await measureWorld(world, statePath);
  } finally {
    await world.close();
    await rm(statePath, { recursive: true, force: true });
  }
}

async function measureWorld(world: World, statePath: string): Promise<Round> {
  const statsPath = `${statePath}-stats.json`;
  const log: LogLine[] = [];
  const env = {
    ...(process.env as Record<string, string>),
    ...world.env,
    ...{ NIXERY_CHANNEL: CHANNEL, NIXPORT_PIN_FRESH, NIXPORT_EDGE_URL: "" },
    ...{ NIXPORT_LOG_LEVEL: "debug", HOST: "127.0.0.1", PORT: "0" },
    ...{ NIX_SHOW_STATS: "1", NIX_SHOW_STATS_PATH: statsPath },
  };
  await stock(world);
  const startedMs = Date.now();
  const origin = await startOrigin(env, statePath, {
    launcher: world.launcher,
    onLogLine: (line) => log.push(line),
  });
  const evaluators = watchEvaluators(origin.pid);

  async function measure(name: string, work: () => Promise<Partial<Window>>): Promise<Case> {
    const beganMs = Date.now();
    const { fromMs = beganMs, untilMs = Date.now() } = await work();
    const seconds = secondsByStage(log.flatMap(spanOf), fromMs, untilMs);
    const evaluator = { ...(await readStats(statsPath)), peakRssBytes: evaluators.takePeak() };
    return { name, seconds, evaluator };
  }
  const pull = async (image: string) => {
    await pullManifest(origin.url, image, "oci-zstd");
    return {};
  };
  try {
    const first = await measure("first, nothing fetched", async () => {
      await pull(FIRST);
      return { fromMs: startedMs };
    });
    const newName = await measure("new name", () => pull(NEW_NAME));
    for (const image of OTHERS) await pull(image);
    const commit = await world.forge.move(CHANNEL, RAISED);
    await stock(world);
    const newRevision = await measure("new revision", () => pull(`${FIRST}:${commit}`));
    await world.forge.move(CHANNEL, RAISED);
    await stock(world);
    const moved = await measure("channel moves", () => followMove(origin, log));
    const spans = log.flatMap(spanOf);
    const images = spans.filter(({ image }) => image !== undefined);
    return {
      cases: [first, newName, newRevision, moved],
      refreshed: images.map(({ image = "", fromMs, untilMs }) => ({
        name: image,
        seconds: secondsByStage(spans, fromMs, untilMs),
        evaluator: moved.evaluator,
      })),
    };
  } finally {
    evaluators.stop();
    await origin.stop();
    await rm(statsPath, { force: true });
  }
}

/** Has the cache know all that it has, so that no measured pull waits for that. */
async function stock({ cache }: World): Promise<void> {
  await cache.find("");
}

/** Pulls, as users do, until the move is seen, and waits until it is followed. */
async function followMove(origin: RunningOrigin, log: readonly LogLine[]): Promise<Window> {
  const deadlineMs = Date.now() + MOVE_DEADLINE_MS;
  for (;;) {
    const [refresh] = log.flatMap(spanOf).filter(({ isRefresh }) => isRefresh);
    if (refresh !== undefined) return refresh;
    if (Date.now() > deadlineMs) throw new Error("the channel's move was not followed");
    const isSeen = log.some(({ msg }) => msg === "refreshing");
    if (!isSeen) await pullManifest(origin.url, NEW_NAME, "oci-zstd");
    await setTimeout(LOOK_EVERY_MS);
  }
}

async function readStats(path: string): Promise<Pick<Evaluator, "cpuSeconds" | "allocatedBytes">> {
  const stats = JSON.parse(await readFile(path, "utf8")) as {
    readonly cpuTime: number;
    readonly gc: { readonly totalBytes: number };
  };
  return { cpuSeconds: stats.cpuTime, allocatedBytes: stats.gc.totalBytes };
}

function rowsOf(rounds: readonly (readonly Case[])[]): readonly Row[] {
  return (rounds[0] ?? []).map(({ name }, place) => {
    const samples = rounds.flatMap((cases) => cases[place] ?? []);
    const of = (figure: (each: Case) => number) => median(samples.map(figure));
    return {
      case: name,
      ...stageCells(samples),
      "evaluator cpu s": of(({ evaluator }) => evaluator.cpuSeconds),
      "allocated MiB": of(({ evaluator }) => evaluator.allocatedBytes) / 2 ** 20,
      "peak RSS MiB": of(({ evaluator }) => evaluator.peakRssBytes) / 2 ** 20,
    };
  });
}

function imagesOf(rounds: readonly Round[]): readonly Row[] {
  return TRACKED.map((image) => {
    const samples = rounds.flatMap(({ refreshed }) =>
      refreshed.filter(({ name }) => name === canonicalRecipe(recipeOf(image))),
    );
    return { "image of the move": image, ...stageCells(samples) };
  });
}

function stageCells(samples: readonly Case[]): Row {
  const columns = ["total", ...STAGES, "rest"] as const;
  return Object.fromEntries(
    columns.map((stage) => [`${stage} s`, median(samples.map(({ seconds }) => seconds[stage]))]),
  );
}
