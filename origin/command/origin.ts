// `npm run origin`: the origin alone, on this machine's state and ports.

import { parseArgs } from "node:util";
import { readConfig } from "../config.ts";
import { createLog } from "../log.ts";
import { startOrigin } from "../main.ts";
import { describeSource } from "../sources/source.ts";
import { localEnvironment } from "./local-environment.ts";
import { endWith, fail, onStop, sayListening, wrongConfiguration } from "./process.ts";

const HELP = `usage: npm run origin

Serves images at http://127.0.0.1:8788 and backfills the edge. Configured by the environment; the
README's table says by which variables. Without a package source in it, nixpkgs nixos-unstable is
served if it can be reached, else the Debian-backed set.
`;

await endWith(async () => {
  if (parseArgs({ options: { help: { type: "boolean", short: "h" } } }).values.help) {
    process.stdout.write(HELP);
    return;
  }
  const stopped = onStop();
  const say = (line: string) => process.stdout.write(`${line}\n`);
  const env = await Promise.race([localEnvironment(process.env, say), stopped]);
  // Stopped while it installs or fetches, or asks its source or counts, further down: what that has
  // started ends with this process.
  if (env === undefined) return;
  const result = readConfig(env);
  if (result.kind === "invalid") fail(wrongConfiguration(result.problems));
  const { config } = result;
  const starting = startOrigin({ config, env, log: createLog(config.logLevel) });
  const origin = await Promise.race([starting, stopped]);
  if (origin === undefined) return;
  const serving = `origin at ${origin.url}, serving ${describeSource(config.source)}`;
  sayListening(serving, origin.shortcoming);
  await stopped;
  await origin.close();
});
