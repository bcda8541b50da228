// Serves images until it is told to stop: the origin as a command has it.

import { parseArgs } from "node:util";
import { readConfig } from "../configuration/config.ts";
import { examineBesideStart } from "../doctor/beside-start.ts";
import { createLog } from "../log/log.ts";
import { startOrigin } from "../main.ts";
import { programEnvironment } from "../nix/program-environment.ts";
import { describeSource } from "../sources/source.ts";
import { statePathOf } from "./local-environment.ts";
import { fail, sayListening, wrongConfiguration } from "./process.ts";
import type { Subcommand } from "./subcommand.ts";

const HELP = `usage: npm run nixport -- origin

Serves images at http://127.0.0.1:8788, as the environment says and nothing else;
docs/configuration.md has the variables. Nothing is installed, no source chosen, and no edge is
filled that is not named.
`;

export const origin: Subcommand = {
  summary: "serve images, as the environment says",
  help: HELP,
  run: async (args, { env, signal }) => {
    parseArgs({ args: [...args], options: {} });
    const stopped = new Promise<void>((resolve) => {
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
    await serveOrigin(programEnvironment(env, statePathOf(env)), stopped);
  },
};

/** Returns when everything it has begun has ended. `pages`: where theirs are built; else beside the sources. */
export async function serveOrigin(
  env: Readonly<Record<string, string>>,
  stopped: Promise<void>,
  pages?: string,
): Promise<void> {
  const result = readConfig(env);
  if (result.kind === "invalid") fail(wrongConfiguration(result.problems));
  const { config } = result;
  // Of one that npm start has started, that says it.
  const examined = process.send === undefined ? examineBesideStart(env, config.statePath) : null;
  const starting = startOrigin({
    ...{ config, env, log: createLog(config.logStyle) },
    ...(pages !== undefined && { pages }),
  });
  const started = await Promise.race([starting, stopped]);
  // Stopped while it asks its source or counts: what that has started ends with this process.
  if (started === undefined) return;
  for (const line of examined?.end() ?? []) process.stdout.write(`${line}\n`);
  const serving = `origin at ${started.url}, serving ${describeSource(config.source)}`;
  sayListening(serving, started.shortcoming);
  await stopped;
  await started.close();
}
