// `npm run check`: format, lint and types, each to its end, so that one run shows all that is wrong.

import { spawnSync } from "node:child_process";
import { parseArgs } from "node:util";

const { values } = parseArgs({ options: { write: { type: "boolean", default: false } } });
const steps: readonly (readonly string[])[] = [
  ["biome", "check", ...(values.write ? ["--write"] : []), "--error-on-warnings", "."],
  ["tsc", "-b"],
];

const failed = steps.filter(([program = "", ...args]) => {
  process.stdout.write(`> ${[program, ...args].join(" ")}\n`);
  return spawnSync(program, args, { stdio: "inherit" }).status !== 0;
});
process.exit(failed.length === 0 ? 0 : 1);
