// The processes of the benchmark: each leads a group of its own, so that ending it ends what it
// started, and none outlives the run.

import { type ChildProcess, type SpawnOptions, spawn } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants } from "node:fs";
import { join } from "node:path";

export interface ProgramOptions {
  readonly input?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
}

export interface ProgramOutput {
  readonly stdout: string;
  readonly stderr: string;
}

/** Far beyond the longest measurement: a hang must end the run. */
const PROGRAM_DEADLINE_MS = 5 * 60_000;
const running = new Set<ChildProcess>();

/** Rejects with what the program said where it fails. */
export async function runProgram(
  program: string,
  args: readonly string[],
  options: ProgramOptions = {},
): Promise<ProgramOutput> {
  const child = startProgram(program, args, {
    stdio: ["pipe", "pipe", "pipe"],
    ...(options.env === undefined ? {} : { env: options.env as NodeJS.ProcessEnv }),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  const output = { stdout: "", stderr: "" };
  child.stdout?.setEncoding("utf8").on("data", (text) => {
    output.stdout += text;
  });
  child.stderr?.setEncoding("utf8").on("data", (text) => {
    output.stderr += text;
  });
  // A program that ends early closes its input; its exit code says more than the broken pipe.
  child.stdin?.on("error", () => {});
  child.stdin?.end(options.input ?? "");
  const timer = setTimeout(() => endGroup(child, "SIGKILL"), PROGRAM_DEADLINE_MS);
  const [code, signal] = await once(child, "close");
  clearTimeout(timer);
  if (code === 0) return output;
  const said = output.stderr.trim().split("\n").slice(-12).join("\n");
  throw new Error(`${program} ${args.join(" ").slice(0, 300)}: ${signal ?? code}\n${said}`);
}

export function startProgram(
  program: string,
  args: readonly string[],
  options: SpawnOptions,
): ChildProcess {
  const child = spawn(program, args, { ...options, detached: true });
  running.add(child);
  child.once("exit", () => running.delete(child));
  return child;
}

/** Asks a process to end, insists after a while, and waits until it has. */
export async function endProgram(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  endGroup(child, "SIGTERM");
  const timer = setTimeout(() => endGroup(child, "SIGKILL"), 10_000);
  await ended;
  clearTimeout(timer);
}

/** For a run that is given up: nothing started here stays. */
export function killAll(): void {
  for (const child of running) endGroup(child, "SIGKILL");
}

export function isOnPath(program: string): boolean {
  return (process.env.PATH ?? "").split(":").some((directory) => {
    try {
      accessSync(join(directory, program), constants.X_OK);
      return true;
    } catch {
      // Not here: the next directory may have it.
      return false;
    }
  });
}

function endGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // It has ended by itself meanwhile.
  }
}
