// `npm run check`: format, lint, types and circles of imports, each to its end, so that one run shows
// all that is wrong.

import { spawnSync } from "node:child_process";
import { parseArgs } from "node:util";
import { circlesOf, graphOf, PRODUCT, roomsOf } from "./import-graph.ts";

const { values } = parseArgs({ options: { write: { type: "boolean", default: false } } });
const steps: readonly (readonly string[])[] = [
  ["biome", "check", ...(values.write ? ["--write"] : []), "--error-on-warnings", "."],
  ["tsc", "-b"],
];

const failed = steps.filter(([program = "", ...args]) => {
  process.stdout.write(`> ${[program, ...args].join(" ")}\n`);
  return spawnSync(program, args, { stdio: "inherit" }).status !== 0;
});

const graph = graphOf(PRODUCT);
const circles = [...circlesOf(graph), ...circlesOf(roomsOf(graph))];
process.stdout.write(`> circles of imports: ${circles.length}\n`);
for (const circle of circles) process.stdout.write(`${circle}\n`);
process.exit(failed.length === 0 && circles.length === 0 ? 0 : 1);
