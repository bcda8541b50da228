// The one way to start one of Nix's programs: where they are looked for, and in which environment.

import { setTimeout } from "node:timers/promises";
import { allowedVariables, cacheCredentials } from "./allowed-variables.ts";
import { lostDaemon, lostPath } from "./hindrance.ts";
import { createNixLog } from "./nix-log.ts";
import { runProcess, type SpawnOptions, type SpawnResult } from "./spawn.ts";

export type NixProgram = "nix" | "nix-build" | "nix-instantiate" | "nix-store";

/** All that is asked of Nix may be asked twice. */
export type NixRunner = (
  program: NixProgram,
  args: readonly string[],
  options: NixLimits,
) => Promise<SpawnResult>;

export interface NixLimits extends Omit<SpawnOptions, "env"> {
  /** What was read so far is of a process that did not come to its end: it is run once more. */
  readonly onAgain?: () => void;
}

type Environment = Readonly<Record<string, string | undefined>>;

export interface NixRunnerOptions {
  /** The environment Nix runs in: PATH, HOME, NIX_CONFIG, NIX_REMOTE, credentials of git. */
  readonly env: Environment;
  /** The heap of whatever evaluates; without it there is no limit. */
  readonly evaluationMemoryBytes?: number;
  /** Called with every process started and its end, for the log and for tests that count them. */
  readonly onSpawn?: (
    program: NixProgram,
    args: readonly string[],
    ended: Promise<SpawnResult>,
  ) => void;
}

export function nixRunner(options: NixRunnerOptions): NixRunner {
  const { onSpawn, evaluationMemoryBytes } = options;
  const evaluating = {
    ...nixEnvironment(options.env),
    // Read by the garbage collector that Nix is built with.
    ...(evaluationMemoryBytes !== undefined && {
      GC_MAXIMUM_HEAP_SIZE: String(evaluationMemoryBytes),
    }),
  };
  // Of what evaluates, only nix-build fetches too, and that is an operator's own command.
  const fetching = { ...evaluating, ...cacheCredentials(options.env) };
  const start = (program: NixProgram, args: readonly string[], limits: NixLimits) => {
    const env = program === "nix-instantiate" ? evaluating : fetching;
    const ended = runProcess(program, args, { ...limits, env });
    onSpawn?.(program, args, ended);
    return ended;
  };
  return async (program, args, limits) => {
    const result = await start(program, args, limits);
    const isCutOff = wasCutOff(result) || (program === "nix-store" && crashed(result));
    if (!isCutOff || !(await pause(DAEMON_RESTART_MS, limits.signal))) return result;
    limits.onAgain?.();
    return await start(program, args, limits);
  };
}

/** By then a daemon that was only restarted listens again. */
const DAEMON_RESTART_MS = 1000;

/** By who came between: a daemon that was restarted, a collector that took a path while it was needed. */
function wasCutOff(result: SpawnResult): boolean {
  if (result.kind !== "exited" || result.code === 0) return false;
  // In either of Nix's formats.
  const log = createNixLog();
  for (const line of result.stderr.split("\n")) log.read(line);
  const messages = log.messages();
  return lostDaemon(messages) || lostPath(messages);
}

const CRASHES: ReadonlySet<NodeJS.Signals> = new Set(["SIGABRT", "SIGSEGV", "SIGBUS"]);

/**
 * Of itself, as threads of Nix 2.8 do to one another: where one fails, such as at a cache, it interrupts the
 * others, and one that is unwinding already ends the process by that. Not for want of memory, of which there
 * is no more a second later; and what evaluates crashes again at the same place, where its stack ends.
 */
function crashed(result: SpawnResult): boolean {
  if (result.kind !== "signalled" || !CRASHES.has(result.signal)) return false;
  return !/bad_alloc|Cannot allocate memory/.test(result.stderr);
}

/** Whether the time passed before the signal came. */
async function pause(ms: number, signal: AbortSignal | undefined): Promise<boolean> {
  try {
    await setTimeout(ms, undefined, signal && { signal });
    return true;
  } catch {
    return false;
  }
}

export function nixEnvironment(env: Environment): Record<string, string> {
  const allowed = allowedVariables(env);
  return { ...allowed, PATH: nixPath(allowed).join(":"), NO_COLOR: "1" };
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
