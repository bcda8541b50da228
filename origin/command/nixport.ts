// `npm run nixport -- <command>`: what an operator does by hand, one word for each.

import { basename } from "node:path";
import { doctor } from "./doctor.ts";
import { fsck } from "./fsck.ts";
import { gc } from "./gc.ts";
import { index } from "./package-index.ts";
import { password } from "./password.ts";
import { popularity } from "./popularity.ts";
import { endWith, Interrupted, onStop, UsageError } from "./process.ts";
import { origin } from "./serve-origin.ts";
import { status } from "./status.ts";
import type { Subcommand } from "./subcommand.ts";
import { verify } from "./verify.ts";
import { warm } from "./warm.ts";

const SUBCOMMANDS = new Map<string, Subcommand>([
  ["origin", origin],
  ["doctor", doctor],
  ["fsck", fsck],
  ["gc", gc],
  ["index", index],
  ["password", password],
  ["popularity", popularity],
  ["status", status],
  ["verify", verify],
  ["warm", warm],
]);

const NPM_RUN = "npm run nixport --";
/** The program of the package (nix/package.nix) is called by its name. */
const CALLED = basename(process.argv[1] ?? "") === "nixport" ? "nixport" : NPM_RUN;
const HELP = `usage: ${CALLED} <command> [options]

${[...SUBCOMMANDS].map(([name, { summary }]) => `  ${name.padEnd(12)}  ${summary}`).join("\n")}

${CALLED} <command> --help says more of each. With npm run --silent nothing but a command's own
output is on standard output.
`;

await endWith(async () => {
  const [name, ...args] = process.argv.slice(2);
  if (name === "--help" || name === "-h") {
    process.stdout.write(HELP);
    return;
  }
  const subcommand = SUBCOMMANDS.get(name ?? "");
  if (subcommand === undefined) {
    const said = name === undefined ? "a command is missing" : `no command ${JSON.stringify(name)}`;
    throw new UsageError(`${said}\n${HELP}`);
  }
  if (args.includes("--help") || args.includes("-h")) {
    process.stdout.write(subcommand.help.replaceAll(NPM_RUN, CALLED));
    return;
  }
  const stop = new AbortController();
  void onStop().then(() => stop.abort(new Interrupted("stopped")));
  await subcommand.run(args, { env: process.env, signal: stop.signal });
});
