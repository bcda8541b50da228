// The one way to start one of Nix's programs: where they are looked for, and in which environment.

import { runProcess, type SpawnOptions, type SpawnResult } from "./spawn.ts";

export type NixProgram = "nix" | "nix-build" | "nix-instantiate" | "nix-store";

export type NixRunner = (
  program: NixProgram,
  args: readonly string[],
  options: Omit<SpawnOptions, "env">,
) => Promise<SpawnResult>;

type Environment = Readonly<Record<string, string | undefined>>;

export interface NixRunnerOptions {
  /** The environment Nix runs in: PATH, HOME, NIX_CONFIG, NIX_REMOTE, credentials of git. */
  readonly env: Environment;
  /** Called with every process started and its end, for the log and for tests that count them. */
  readonly onSpawn?: (
    program: NixProgram,
    args: readonly string[],
    ended: Promise<SpawnResult>,
  ) => void;
}

export function nixRunner({ env: outer, onSpawn }: NixRunnerOptions): NixRunner {
  const env = nixEnvironment(outer);
  return (program, args, limits) => {
    const ended = runProcess(program, args, { ...limits, env });
    onSpawn?.(program, args, ended);
    return ended;
  };
}

export function nixEnvironment(env: Environment): Record<string, string> {
  const kept = withoutOwnVariables(env);
  return { ...kept, PATH: nixPath(kept).join(":"), NO_COLOR: "1" };
}

/**
 * A package set can read the environment of Nix and put it into an error message, and git hands its
 * own on to helpers: no secret of ours may be in either.
 */
export function withoutOwnVariables(env: Environment): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    if (value !== undefined && !name.startsWith("NIXPORT_")) kept[name] = value;
  }
  return kept;
}

/**
 * Where Nix's programs are looked for: on PATH, and then where its own installers put them, which a
 * service manager's PATH rarely has.
 */
export function nixPath({ PATH, HOME }: Environment): readonly string[] {
  return [
    ...(PATH ?? "/usr/local/bin:/usr/bin:/bin").split(":"),
    ...(HOME === undefined
      ? []
      : [`${HOME}/.nix-profile/bin`, `${HOME}/.local/state/nix/profile/bin`]),
    ...["/nix/var/nix/profiles/default/bin", "/run/current-system/sw/bin"],
  ];
}
