// The environment of a local start: what the user set, and for the rest one machine's defaults, in
// which the origin and the edge started apart find each other.

import { resolve } from "node:path";
import { programEnvironment } from "../nix/program-environment.ts";
import type { EnvironmentVariables } from "../variables.ts";
import { prepareHost, type Say } from "./host.ts";
import { localSecret } from "./local-secret.ts";

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
