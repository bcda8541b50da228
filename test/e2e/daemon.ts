// Programs of a test that run beside it: daemons that are ended by the test, and by the kernel where
// the test cannot, and commands that must not hold up the servers inside the test's own process.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { readFile, rm } from "node:fs/promises";
import { setTimeout as pause } from "node:timers/promises";
import { runProcess } from "../../origin/nix/spawn.ts";

const COMMAND_DEADLINE_MS = 180_000;
const READY_DEADLINE_MS = 90_000;
const STOP_DEADLINE_MS = 30_000;
const PROBE_INTERVAL_MS = 100;

type Environment = Readonly<Record<string, string>>;

/** What a command printed; it throws with what the command complained about. */
export async function run(
  program: string,
  args: readonly string[],
  env: Environment = {},
  input = "",
): Promise<string> {
  const { PATH = "", HOME = "/" } = process.env;
  const result = await runProcess(program, args, {
    env: { PATH, HOME, ...env },
    input,
    deadlineMs: COMMAND_DEADLINE_MS,
  });
  if (result.kind === "exited" && result.code === 0) return result.stdout;
  const why = "stderr" in result ? result.stderr.slice(-4000) : "";
  const how = result.kind === "exited" ? `exited with ${result.code}` : result.kind;
  throw new Error(`${program} ${args.join(" ")}: ${how}\n${why}`);
}

export interface Daemon {
  stop(): Promise<void>;
}

export interface DaemonOptions {
  readonly program: string;
  readonly args: readonly string[];
  readonly env: Environment;
  readonly logPath: string;
  /** Throws until the daemon answers. */
  readonly probe: () => Promise<unknown>;
}

export async function startDaemon(options: DaemonOptions): Promise<Daemon> {
  const log = openSync(options.logPath, "a");
  // A test file that is killed at its deadline cannot stop anything any more.
  const withParent = ["--pdeathsig", "TERM", "--", options.program, ...options.args];
  const child = spawn("setpriv", withParent, { env: options.env, stdio: ["ignore", log, log] });
  closeSync(log);
  await once(child, "spawn");
  try {
    await waitUntilReady(child, options);
  } catch (error) {
    await stop(child);
    throw error;
  }
  return { stop: () => stop(child) };
}

async function waitUntilReady(child: ChildProcess, options: DaemonOptions): Promise<void> {
  const deadline = performance.now() + READY_DEADLINE_MS;
  for (;;) {
    const failure = await options.probe().then(
      () => undefined,
      (error: unknown) => String(error),
    );
    if (failure === undefined) return;
    const hasEnded = child.exitCode !== null || child.signalCode !== null;
    if (hasEnded || performance.now() > deadline) {
      const log = await readFile(options.logPath, "utf8");
      const how = hasEnded ? `ended with ${child.exitCode ?? child.signalCode}` : "is not ready";
      throw new Error(`${options.program} ${how}: ${failure}\n${log.slice(-4000)}`);
    }
    await pause(PROBE_INTERVAL_MS);
  }
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), STOP_DEADLINE_MS);
  await ended;
  clearTimeout(timer);
}

/** Removes a folder with whatever its clients have left mounted in it. */
export async function removeStorage(folder: string): Promise<void> {
  const mounts = await readFile("/proc/self/mountinfo", "utf8");
  const below = mounts
    .split("\n")
    .map((line) => line.split(" ")[4] ?? "")
    .filter((place) => place.startsWith(`${folder}/`));
  // The last mounted may lie on one of the first.
  for (const place of below.reverse()) await run("umount", ["--lazy", place]);
  await rm(folder, { recursive: true, force: true });
}
