// `npm run edge`: the edge alone, on this machine, in front of an origin that may come and go.

import { parseArgs } from "node:util";
import { DEFAULT_PORT, MAX_PORT } from "../configuration/config.ts";
import { readLogStyle } from "../configuration/log-style.ts";
import { readPlatforms } from "../configuration/platforms.ts";
import { readPolicyText } from "../configuration/policy.ts";
import { openVariables } from "../configuration/variables.ts";
import { readZstdUse } from "../configuration/zstd.ts";
import { lineWriter } from "../log/log.ts";
import { forgetSecrets } from "./edge-environment.ts";
import { edgeProblem } from "./edge-runtime.ts";
import { DEFAULT_EDGE_PORT, statePathOf } from "./local-environment.ts";
import { localSecret } from "./local-secret.ts";
import { endWith, fail, onStop, sayListening, wrongConfiguration } from "./process.ts";

const HELP = `usage: npm run edge

Answers docker pull at http://127.0.0.1:8787 from what is cached, and asks the origin for the rest.

  EDGE_PORT           port to listen on (8787)
  PORT                port of the origin on this machine (8788)
  NIXPORT_STATE       where KV and R2 are kept (.nixport); deleting it is always safe
  NIXPORT_SECRET      shared with the origin (else one is made in the state)
  NIXPORT_PLATFORMS   what a name without a platform is answered for, as at the origin
  NIXPORT_ZSTD        for whom zstd is: known (clients that read it), or never
  NIXPORT_POLICY      who may pull what, as at the origin: JSON, or a file of it
  NIXPORT_REDIRECT    never: the origin streams what it keeps in a bucket
  PIN_FRESH_SECONDS   for how long a tag's revision counts as fresh (300)
  ORIGIN_WAIT_SECONDS for how long it waits for an image that is being built (660)
`;

const MAX_SECONDS = 1e9;

await endWith(async () => {
  if (parseArgs({ options: { help: { type: "boolean", short: "h" } } }).values.help) {
    process.stdout.write(HELP);
    return;
  }
  const stopped = onStop();
  const statePath = statePathOf(process.env);
  const variables = openVariables(process.env);
  const { integer, problems } = variables;
  const originPort = integer("PORT", DEFAULT_PORT, 1, MAX_PORT);
  const pinFreshSeconds = integer("PIN_FRESH_SECONDS", undefined, 0, MAX_SECONDS);
  const originWaitSeconds = integer("ORIGIN_WAIT_SECONDS", undefined, 0, MAX_SECONDS);
  const platforms = readPlatforms(variables);
  const zstd = readZstdUse(variables);
  const policy = readPolicyText(variables);
  // What else it says is for the origin's clients.
  const redirect = variables.text("NIXPORT_REDIRECT") === "never" ? "never" : "follow";
  const style = readLogStyle(variables);
  const port = integer("EDGE_PORT", DEFAULT_EDGE_PORT, 0, MAX_PORT);
  if (problems.length > 0) fail(wrongConfiguration(problems));
  const noEdge = await edgeProblem(process.env);
  if (noEdge !== undefined) fail(`the edge cannot run here: ${noEdge}`);
  const secret = await localSecret(statePath);
  forgetSecrets(process.env);
  // Loads the runtime's packages, which is for naught where it does not start.
  const { startEdge } = await import("./workerd.ts");
  const writeLine = lineWriter(style, process.stderr.isTTY === true, {
    ...{ part: "edge", isVerbose: style.level === "debug" },
    write: (line) => void process.stderr.write(line),
  });
  const edge = await startEdge({
    port,
    statePath,
    originUrl: `http://127.0.0.1:${originPort}`,
    ...{ secret, redirect },
    logPulls: style.level === "info" || style.level === "debug",
    onLog: (line) => writeLine(`${line}\n`),
    ...(platforms !== undefined && { platforms }),
    ...(zstd !== undefined && { zstd }),
    ...(policy !== undefined && { policy }),
    ...(pinFreshSeconds !== undefined && { pinFreshSeconds }),
    ...(originWaitSeconds !== undefined && { originWaitSeconds }),
  });
  sayListening(`edge at ${edge.url}`);
  await stopped;
  await edge.close();
});
