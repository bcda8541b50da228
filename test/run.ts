// `npm test`: installs what the tests need, and runs them. A tool that cannot be had skips the tests
// that need it, by name.

import { parseArgs } from "node:util";
import { startVitest } from "vitest/node";
import { installTools } from "./tools.ts";
import { PROJECTS } from "./vitest.config.ts";

const NAMES = Object.keys(PROJECTS);
const HELP = `usage: npm test [-- [OPTION ...] [FILTER ...]]

Runs the test files whose path holds one of the filters; all of them without one.

  --project NAME   only tests of one kind, may be repeated:
                     unit     they need npm's packages and nothing else
                     edge     they run on workerd
                     origin   they need Nix
                     e2e      they need clients such as skopeo and podman, and most of them root
  --watch          run again what a change of a file touches, until Ctrl-C
  --update         write the snapshots that differ
  --help           print this

npm run test:unit is the project unit alone, for which nothing is installed.
`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    project: { type: "string", multiple: true, default: [] },
    watch: { type: "boolean", default: false },
    update: { type: "boolean", default: false },
    help: { type: "boolean", short: "h", default: false },
  },
});
if (values.help) {
  process.stdout.write(HELP);
  process.exit(0);
}
const unknown = values.project.find((name) => !NAMES.includes(name));
if (unknown !== undefined) {
  process.stderr.write(`no project ${JSON.stringify(unknown)}\n${HELP}`);
  process.exit(2);
}
if (values.project.length === 0 || values.project.some((name) => name !== "unit")) {
  await installTools((line) => process.stdout.write(`${line}\n`));
}
const { watch, update, project } = values;
const vitest = await startVitest("test", positionals, {
  ...{ config: "test/vitest.config.ts", watch, update, project },
});
// Watching ends with the process.
if (!watch) await vitest.close();
