// How long it takes to make the index of a set in nixpkgs' shape, against one process that evaluates all of it
// at once; what memory it takes, and how many bytes a name has. Once it is killed on the way, and goes on.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readdir, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type AttributeGroup, lookUpSlice } from "../../origin/nix/look-up-slice.ts";
import { findNix } from "../../origin/nix/nix-tool.ts";
import type { PinnedSource } from "../../origin/nix/pinned-source.ts";
import { MOST_NAMES } from "../../origin/package-index/work.ts";
import { openFilesystemStore } from "../../origin/storage/filesystem.ts";
import { storageKey } from "../../origin/storage/keys.ts";
import { lookUpIndexObject, lookUpIndexRoot } from "../../origin/storage/stored-index.ts";
import { attributePath } from "../../registry/naming/attribute.ts";
import { parsePin } from "../../registry/naming/pin.ts";
import { SYSTEMS, type System } from "../../registry/naming/recipe.ts";
import { objectsOf } from "../../registry/package-index/bodies.ts";
import { attributesIn, readNames } from "../../registry/package-index/names.ts";
import { defined } from "../registry/fixture.ts";
import { generatePackageSet } from "../stand-ins/package-set/package-set.ts";
import { childrenCpuSeconds, compare, median, peakRssBytes } from "./measure.ts";
import { bar, type Row, type Section } from "./report.ts";
import { watchEvaluators } from "./watch-evaluators.ts";
import type { Bench } from "./workbench.ts";

const COMMAND = fileURLToPath(new URL("../../origin/command/nixport.ts", import.meta.url));
/** Those of Python are in two sets, so that 20,000 attributes come of it. */
const PACKAGES = 16_000;
const SYSTEM: System = process.arch === "arm64" ? SYSTEMS[1] : SYSTEMS[0];
/** It would end the one process that all others are evaluated in. */
const ABORTING = "aborting-tool";
const MOST_BYTES_A_NAME = 150;
const MOST_RATIO = 1.3;
const LOOK_EVERY_MS = 50;
const SLICES_BEFORE_KILL = 3;

export async function measurePackageIndex({ scratch, rounds }: Bench): Promise<Section> {
  const set = join(scratch, "indexed-set");
  await writeSet(set);
  // Its files come to the store, which is no part of evaluating it.
  await make(set, join(scratch, "indexed-first"));
  const made: Run[] = [];
  const resumed: Run[] = [];
  const atOnceSeconds: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const state = join(scratch, `indexed-${round}`);
    const whole = await make(set, state);
    made.push({ ...whole, ...(await sizesOf(state, whole)) });
    atOnceSeconds.push(await evaluateAtOnce(set, state, whole));
    await rm(state, { recursive: true });
    const killed = join(scratch, `indexed-again-${round}`);
    const before = await makeUntilKilled(set, killed);
    const after = await make(set, killed);
    resumed.push({ ...after, seconds: before + after.seconds });
  }
  const evaluating = made.map((each) => each.evaluatingSeconds);
  const { ratio, range } = compare(evaluating, atOnceSeconds);
  const bytes = median(made.map((each) => each.bytesPerName ?? Number.NaN));
  return {
    name: "index",
    title: `the index of ${made[0]?.names} names`,
    tables: [
      [rowOf("made", made), rowOf("killed and resumed", resumed)],
      [
        {
          "one process, cpu s": median(atOnceSeconds),
          "all slices, cpu s": median(evaluating),
          ratio,
          range,
          "bytes a name": bytes,
        },
      ],
    ],
    bars: [
      bar("evaluating an index over one process", ratio, "at most", MOST_RATIO),
      bar("bytes of an index for each name", bytes, "at most", MOST_BYTES_A_NAME),
    ],
    notes: [
      "all slices: with one that an attribute ended, and with why others failed, an evaluation each",
      `one process: all attributes but ${ABORTING}, at the same priority and within the same memory`,
      "killed and resumed: with the wait until the claim of the one that was killed is over",
    ],
  };
}

interface Run {
  readonly pin: string;
  readonly names: number;
  readonly unexplained: number;
  readonly seconds: number;
  /** Of the processor, by all processes of Nix. */
  readonly evaluatingSeconds: number;
  readonly peakBytes: number;
  readonly evaluatorPeakBytes: number;
  readonly bytesPerName?: number;
}

function rowOf(what: string, runs: readonly Run[]): Row {
  const of = (figure: (run: Run) => number) => median(runs.map(figure));
  return {
    what,
    "wall s": of(({ seconds }) => seconds),
    "evaluator peak MB": of(({ evaluatorPeakBytes }) => evaluatorPeakBytes) / 1e6,
    "own peak MB": of(({ peakBytes }) => peakBytes) / 1e6,
    unexplained: of(({ unexplained }) => unexplained),
  };
}

async function writeSet(folder: string): Promise<void> {
  const tree = generatePackageSet({
    ...{ salt: folder, packages: PACKAGES, minver: "2.8", wording: "new", raised: new Map() },
    // Nothing of it is built.
    bootstrap: { url: "https://tarballs.nixos.org/none", sha256: "0".repeat(52) },
  });
  for (const [path, contents] of tree) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), contents);
  }
}

function start(set: string, state: string) {
  return spawn(process.execPath, [COMMAND, "index", "--system", SYSTEM, "--json"], {
    env: { ...process.env, NIXERY_PKGS_PATH: set, NIXPORT_STATE: state, NIXERY_CHANNEL: "" },
    stdio: ["ignore", "pipe", "ignore"],
  });
}

async function make(set: string, state: string): Promise<Run> {
  const startedMs = performance.now();
  const child = start(set, state);
  const pid = child.pid ?? 0;
  const evaluators = watchEvaluators(pid);
  let [peakBytes, evaluatingSeconds] = [0, 0];
  const poll = setInterval(async () => {
    // The last evaluation is over some seconds before all is stored.
    evaluatingSeconds = Math.max(evaluatingSeconds, await childrenCpuSeconds(pid).catch(() => 0));
    peakBytes = Math.max(peakBytes, (await peakRssBytes(pid).catch(() => 0)) || 0);
  }, LOOK_EVERY_MS);
  const [[code], stdout] = await Promise.all([once(child, "exit"), text(child.stdout)]);
  clearInterval(poll);
  evaluators.stop();
  if (code !== 0) throw new Error(`index ended with ${code}`);
  const { pin, names, unexplained } = JSON.parse(stdout);
  return {
    ...{ pin, names, unexplained, peakBytes, evaluatorPeakBytes: evaluators.takePeak() },
    seconds: (performance.now() - startedMs) / 1000,
    evaluatingSeconds,
  };
}

/** How many seconds it ran. */
async function makeUntilKilled(set: string, state: string): Promise<number> {
  const startedMs = performance.now();
  const child = start(set, state);
  const ended = once(child, "exit");
  while ((await slicesIn(state)) < SLICES_BEFORE_KILL) await setTimeout(LOOK_EVERY_MS);
  child.kill("SIGKILL");
  await ended;
  return (performance.now() - startedMs) / 1000;
}

async function slicesIn(state: string): Promise<number> {
  const files = await readdir(join(state, "origin/index-slices"), { recursive: true }).catch(
    () => [],
  );
  return files.filter((file) => /\/\d{1,5}$/.test(file)).length;
}

async function openIndex(state: string, run: Run) {
  const store = await openFilesystemStore(join(state, "origin"));
  const pin = defined(parsePin(run.pin), "a pin");
  const root = defined(await lookUpIndexRoot(store, pin, SYSTEM), "a root");
  return { store, root };
}

async function sizesOf(state: string, run: Run) {
  const { root } = await openIndex(state, run);
  const keys = [
    storageKey.index(root.pin, root.system),
    ...objectsOf(root).map(({ digest }) => storageKey.indexObject(digest)),
  ];
  const sizes = await Promise.all(keys.map((key) => stat(join(state, "origin", key))));
  const bytes = sizes.reduce((sum, { size }) => sum + size, 0);
  return { bytesPerName: bytes / root.count };
}

/** Seconds of the processor. */
async function evaluateAtOnce(set: string, state: string, run: Run): Promise<number> {
  const { store, root } = await openIndex(state, run);
  const bytes = await lookUpIndexObject(store, root.names.digest);
  const names = defined(readNames(defined(bytes, "names")), "names");
  const groups = groupsOf(attributesIn(names).filter((name) => name !== ABORTING));
  const nix = defined(await findNix({ env: process.env }), "Nix");
  const narHash = `sha256-${Buffer.from(run.pin.replace("path-", ""), "hex").toString("base64")}`;
  const source: PinnedSource = { kind: "path", path: set, narHash };
  const signal = new AbortController().signal;
  const beforeSeconds = await childrenCpuSeconds(process.pid);
  const limits = { sets: [], mostNames: MOST_NAMES, mostDeep: 1 };
  const answer = await lookUpSlice({ nix, source, system: SYSTEM, signal }, { groups, ...limits });
  if (answer.kind !== "said") throw new Error(JSON.stringify(answer));
  return (await childrenCpuSeconds(process.pid)) - beforeSeconds;
}

function groupsOf(attributes: readonly string[]): readonly AttributeGroup[] {
  const paths = attributes.map(attributePath);
  const bySet = Map.groupBy(paths, (path) => path.slice(0, -1).join("."));
  return [...bySet.values()].map((members) => ({
    set: members[0]?.slice(0, -1) ?? [],
    names: members.map((path) => path.at(-1) ?? ""),
  }));
}
