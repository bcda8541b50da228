// `npm run origin`: the origin alone, on this machine's state and ports.

import { join } from "node:path";
import { parseArgs } from "node:util";
import { stop } from "esbuild";
import { buildInto } from "../../page/build.ts";
import { localEnvironment, statePathOf } from "./local-environment.ts";
import { endWith, onStop } from "./process.ts";
import { serveOrigin } from "./serve-origin.ts";

const HELP = `usage: npm run origin

Serves images at http://127.0.0.1:8788 and backfills the edge. Configured by the environment;
docs/configuration.md has the variables. Without a package source among them, nixpkgs nixos-unstable
is served if it can be reached, else the Debian-backed set.
`;

await endWith(async () => {
  if (parseArgs({ options: { help: { type: "boolean", short: "h" } } }).values.help) {
    process.stdout.write(HELP);
    return;
  }
  const stopped = onStop();
  const pages = join(statePathOf(process.env), "page");
  await buildInto(pages);
  // Else its own process stays for as long as this one.
  await stop();
  const say = (line: string) => process.stdout.write(`${line}\n`);
  // Stopped while it installs or fetches: what that has started ends with this process.
  const env = await Promise.race([localEnvironment(process.env, say), stopped]);
  if (env !== undefined) await serveOrigin(env, stopped, pages);
});
