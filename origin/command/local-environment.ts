// The environment of a local start: what the user set, and for the rest one machine's defaults, in
// which the origin and the edge started apart find each other.

import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import type { EnvironmentVariables } from "../configuration/variables.ts";
import { programEnvironment } from "../nix/program-environment.ts";
import { prepareHost, type Say } from "./host.ts";
import { existingSecret, localSecret } from "./local-secret.ts";

export const DEFAULT_EDGE_PORT = 8787;

export function statePathOf(env: EnvironmentVariables): string {
  return resolve(env.NIXPORT_STATE?.trim() || ".nixport");
}

export function edgeUrlOf(env: EnvironmentVariables): string {
  return `http://127.0.0.1:${env.EDGE_PORT?.trim() || DEFAULT_EDGE_PORT}`;
}

/** Prepares the machine as well, which may install packages and takes a minute the first time. */
export async function localEnvironment(
  env: EnvironmentVariables,
  say: Say,
): Promise<Readonly<Record<string, string>>> {
  const statePath = statePathOf(env);
  const prepared = await prepareHost(programEnvironment(env, statePath), statePath, say);
  return {
    NIXPORT_EDGE_URL: edgeUrlOf(env),
    NIXPORT_SECRET: await localSecret(statePath),
    ...prepared.env,
    NIXPORT_STATE: statePath,
  };
}

/**
 * The same of what is there already: nothing is installed, made or asked for. What Nix writes down
 * goes where an origin has had it write, else to the scratch folder.
 */
export async function existingEnvironment(
  env: EnvironmentVariables,
  scratchPath: string,
): Promise<Readonly<Record<string, string>>> {
  const statePath = statePathOf(env);
  const hasCache = existsSync(join(statePath, "cache"));
  // A state that cannot be read is the storage's line to say.
  const secret = await existingSecret(statePath, env).catch(() => undefined);
  return {
    // Without a secret there never was an edge on this machine that this origin could fill.
    ...(secret === undefined ? {} : { NIXPORT_EDGE_URL: edgeUrlOf(env), NIXPORT_SECRET: secret }),
    ...definedOnly(programEnvironment(env, hasCache ? statePath : scratchPath)),
    NIXPORT_STATE: statePath,
  };
}

function definedOnly(env: EnvironmentVariables): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) => (value?.trim() ? [[name, value]] : [])),
  );
}
