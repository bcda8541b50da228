// The one way to run git: with the host's credentials, never waiting for a password, and saying so
// where there is no git.

import { allowedVariables } from "../nix/allowed-variables.ts";
import { nixPath } from "../nix/nix-runner.ts";
import { runProcess, type SpawnOptions, type SpawnResult } from "../nix/spawn.ts";

export const GIT_MISSING =
  "git is not installed on the registry's host; channels and git repositories need it (on Debian: apt-get install git)";

export function runGit(
  env: Readonly<Record<string, string>>,
  args: readonly string[],
  options: Omit<SpawnOptions, "env">,
): Promise<SpawnResult> {
  // Never wait for a password that nobody is there to type.
  const own = {
    PATH: nixPath(env).join(":"),
    GIT_TERMINAL_PROMPT: "0",
    SSH_ASKPASS_REQUIRE: "never",
  };
  return runProcess("git", args, { ...options, env: { ...allowedVariables(env), ...own } });
}

/** Whether a process did not start because there is no such program. */
export function isMissing(result: SpawnResult): boolean {
  return result.kind === "not-started" && "code" in result.error && result.error.code === "ENOENT";
}
