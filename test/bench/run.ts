// `npm run bench`: measures what the project claims, in one run on one machine, and says which of
// the bars set for it are met. A missed bar is a result; only a measurement that fails is an error.

import { parseArgs } from "node:util";
import { measureCold } from "./cold.ts";
import { measureCombinations } from "./combinations.ts";
import { measureCost } from "./cost.ts";
import { measureStreams } from "./edge/streams.ts";
import { measureEdge } from "./edge.ts";
import { measureFsck } from "./fsck.ts";
import { measureGc } from "./gc.ts";
import { measureGraph } from "./graph-rows.ts";
import { measureKept } from "./kept.ts";
import { measureMemory } from "./memory.ts";
import { measureNixpkgs } from "./nixpkgs.ts";
import { measurePackageIndex } from "./package-index.ts";
import { measurePacking } from "./packing.ts";
import { killAll } from "./processes.ts";
import { measurePulls } from "./pulls.ts";
import { printBars, printSection, type Section } from "./report.ts";
import { measureUnderLoad } from "./under-load.ts";
import {
  type Bench,
  makeScratch,
  openWorkbench,
  removeScratch,
  type Workbench,
} from "./workbench.ts";
import { measureWorld } from "./world.ts";

const PARTS: Readonly<Record<string, (bench: Workbench) => Promise<Section>>> = {
  packing: measurePacking,
  cold: measureCold,
  combinations: measureCombinations,
  kept: measureKept,
  memory: measureMemory,
  graph: measureGraph,
  pulls: measurePulls,
  edge: measureEdge,
  world: measureWorld,
  cost: measureCost,
  load: measureUnderLoad,
};
/** They need no package set, or bring their own. */
const APART: Readonly<Record<string, (bench: Bench) => Promise<Section>>> = {
  nixpkgs: measureNixpkgs,
  index: measurePackageIndex,
  fsck: measureFsck,
  gc: measureGc,
  streams: measureStreams,
};
const NAMES = [...Object.keys(PARTS), ...Object.keys(APART)];

const HELP = `usage: npm run bench [-- OPTION ...]

  --only PART   one part only, may be repeated: ${NAMES.join(", ")}
  --rounds N    measure each case N times (default 3)
  --json        print JSON instead of tables
  --help        print this

What the figures mean is said in test/bench/README.md.
`;

const { values } = parseArgs({
  options: {
    only: { type: "string", multiple: true },
    rounds: { type: "string", default: "3" },
    json: { type: "boolean", default: false },
    help: { type: "boolean", short: "h", default: false },
  },
});
if (values.help) {
  process.stdout.write(HELP);
  process.exit(0);
}
const rounds = Number(values.rounds);
const names = values.only ?? NAMES;
const unknown = names.find((name) => !NAMES.includes(name));
if (unknown !== undefined || !Number.isInteger(rounds) || rounds < 1) {
  process.stderr.write(HELP);
  process.exit(2);
}

const say = (line: string) => process.stderr.write(`${line}\n`);
const scratch = await makeScratch();
// What parts put into the temporary directory goes with it, also where the run is given up.
process.env.TMPDIR = scratch;
// Measured by itself, and beside nothing else.
process.env.NIXPORT_INDEX = "off";
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.once(signal, () => {
    killAll();
    void removeScratch(scratch).finally(() => process.exit(130));
  });
}

const startedMs = performance.now();
const sections: Section[] = [];
try {
  const report = async (name: string, measured: Promise<Section>) => {
    say(`measuring ${name}`);
    const section = await measured;
    sections.push(section);
    if (!values.json) process.stdout.write(printSection(section));
  };
  const chosen = <Each>(parts: Readonly<Record<string, Each>>) =>
    Object.entries(parts).filter(([name]) => names.includes(name));
  const parts = chosen(PARTS);
  if (parts.length > 0) {
    const bench = await openWorkbench(scratch, rounds, say);
    for (const [name, measure] of parts) await report(name, measure(bench));
  }
  for (const [name, measure] of chosen(APART)) await report(name, measure({ scratch, rounds }));
} catch (error) {
  process.exitCode = 1;
  say(`the benchmark failed: ${error instanceof Error ? error.stack : error}`);
} finally {
  killAll();
  await removeScratch(scratch);
}
if (values.json) process.stdout.write(`${JSON.stringify({ sections }, null, 2)}\n`);
else process.stdout.write(printBars(sections));
say(`took ${Math.round((performance.now() - startedMs) / 1000)} s, ${rounds} rounds`);
