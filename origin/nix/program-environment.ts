// The environment in which Nix and git run: what the user's own says, and folders they can write to
// where the user has none, as a service has not. Made once with a start.

import { accessSync, constants, mkdirSync, statSync } from "node:fs";
import { join } from "node:path";

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Nix keeps what it downloads and remembers in a cache folder, by default below HOME: in the state,
 * it goes with the state. HOME itself stays what it is wherever it can be entered, since git's and
 * ssh's credentials are there.
 */
export function programEnvironment(
  env: Environment,
  statePath: string,
): Readonly<Record<string, string>> {
  const home = env.HOME !== undefined && canEnter(env.HOME) ? env.HOME : makeHome(statePath);
  const own = { XDG_CACHE_HOME: env.XDG_CACHE_HOME || join(statePath, "cache"), HOME: home };
  const defined = Object.entries({ ...env, ...own }).flatMap(([name, value]): [string, string][] =>
    value === undefined ? [] : [[name, value]],
  );
  return Object.fromEntries(defined);
}

function makeHome(statePath: string): string {
  const home = join(statePath, "home");
  mkdirSync(home, { recursive: true, mode: 0o700 });
  return home;
}

function canEnter(path: string): boolean {
  try {
    accessSync(path, constants.R_OK | constants.X_OK);
    return statSync(path).isDirectory();
  } catch (error) {
    // It is not there, or not for us.
    if (error instanceof Error && "code" in error) return false;
    throw error;
  }
}
