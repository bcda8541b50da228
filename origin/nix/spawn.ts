// The only place of the origin that starts a process: with an explicit environment, in a process group
// of its own, which does not outlive this process (warden.ts), and with a limit on everything that could
// grow or wait for ever.

import { type ChildProcessByStdio, spawn } from "node:child_process";
import { constants as osConstants, setPriority } from "node:os";
import type { Readable, Writable } from "node:stream";
import { StringDecoder } from "node:string_decoder";
import { SHELL, unwatchGroup, watchGroup } from "./warden.ts";

export interface SpawnOptions {
  /** The whole environment of the process; programs are looked for in its PATH. */
  readonly env: Readonly<Record<string, string>>;
  /** Where it runs; this process's own folder without it. */
  readonly cwd?: string;
  /** Standard input; without it the process reads end of file at once. */
  readonly input?: string;
  readonly deadlineMs: number;
  /** More output than this is an error, since half an output is never of use. */
  readonly maxStdoutBytes?: number;
  /** Of standard error the end is kept, which is where programs say why they stopped. */
  readonly keepStderrBytes?: number;
  readonly signal?: AbortSignal;
  /** How long the processes may take to end when asked to, before they are killed. */
  readonly killGraceMs?: number;
  /** What none of its processes gets more of; without it as much as the machine gives. */
  readonly maxMemoryBytes?: number;
  /** From then on it gets what processor the others leave. */
  readonly yieldAfterMs?: number;
  /** It gets that from its start, and less than any other that yields. */
  readonly comesLast?: boolean;
  readonly onStderrLine?: (line: string) => void;
}

export type SpawnResult =
  | {
      readonly kind: "exited";
      readonly code: number;
      readonly stdout: string;
      readonly stderr: string;
    }
  | { readonly kind: "signalled"; readonly signal: NodeJS.Signals; readonly stderr: string }
  | { readonly kind: "timed-out"; readonly afterMs: number; readonly stderr: string }
  | { readonly kind: "cancelled" }
  | { readonly kind: "too-much-output"; readonly limitBytes: number }
  | { readonly kind: "not-started"; readonly error: Error };

const DEFAULT_MAX_STDOUT_BYTES = 64 * 1024 * 1024;
const DEFAULT_KEEP_STDERR_BYTES = 256 * 1024;
const DEFAULT_KILL_GRACE_MS = 5000;
/** Several ends are told at once, so that what one has just written may be read after its end. */
const LEAST_READING_MS = 1000;
/** Nix misses a signal that comes between its look for one and its wait for a builder's output. */
const TERM_AGAIN_MS = 200;
const MAX_LINE_CHARACTERS = 16 * 1024;

type Child = ChildProcessByStdio<Writable, Readable, Readable>;

/**
 * A process can limit only itself, which Node cannot: so the shell does it in its place, by a constant
 * that gets all else as arguments. What counts is what a process can write to, since Nix maps files that
 * are larger than all its memory. It fails where the machine's own limit is lower, which will do. And a
 * crash leaves no file of some gigabytes.
 */
const WITHIN_LIMITS = `ulimit -c 0 2>/dev/null; ulimit -d "$1" 2>/dev/null; shift; exec "$@"`;
/** What a shell says of a program that is not there, or cannot be started; Nix never does. */
const NOT_STARTED_CODES = [126, 127];

export async function runProcess(
  program: string,
  args: readonly string[],
  options: SpawnOptions,
): Promise<SpawnResult> {
  if (options.signal?.aborted) return { kind: "cancelled" };
  if (options.maxMemoryBytes === undefined) return await start(program, args, options);
  const limitKib = String(Math.floor(options.maxMemoryBytes / 1024));
  const limited = ["-c", WITHIN_LIMITS, "sh", limitKib, program, ...args];
  const result = await start(SHELL, limited, options);
  return result.kind === "exited" && NOT_STARTED_CODES.includes(result.code)
    ? { kind: "not-started", error: new Error(result.stderr.trim()) }
    : result;
}

async function start(
  program: string,
  args: readonly string[],
  options: SpawnOptions,
): Promise<SpawnResult> {
  let child: Child;
  try {
    child = spawn(program, args, {
      env: options.env,
      cwd: options.cwd,
      stdio: ["pipe", "pipe", "pipe"],
      shell: false,
      // A group of its own, so that what the process itself has started can be ended with it.
      detached: true,
    });
  } catch (error) {
    // Some failures, such as an argument list that is too long, are thrown instead of emitted.
    return {
      kind: "not-started",
      error: error instanceof Error ? error : new Error(String(error)),
    };
  }
  const group = child.pid;
  if (group === undefined) return await whyNotStarted(child);
  watchGroup(group);
  return await watch(child, group, options).finally(() => unwatchGroup(group));
}

/** Node tells a moment later. Where too many files are open there are no pipes to listen at either. */
function whyNotStarted(child: Child): Promise<SpawnResult> {
  const { promise, resolve } = Promise.withResolvers<SpawnResult>();
  child.on("error", (error) => resolve({ kind: "not-started", error }));
  return promise;
}

function watch(child: Child, group: number, options: SpawnOptions): Promise<SpawnResult> {
  const { promise, resolve } = Promise.withResolvers<SpawnResult>();
  const limitBytes = options.maxStdoutBytes ?? DEFAULT_MAX_STDOUT_BYTES;
  const graceMs = options.killGraceMs ?? DEFAULT_KILL_GRACE_MS;
  const stderr = keepTail(options.keepStderrBytes ?? DEFAULT_KEEP_STDERR_BYTES);
  const lines = options.onStderrLine === undefined ? undefined : splitLines(options.onStderrLine);
  let stopped: SpawnResult | undefined;
  let killTimer: NodeJS.Timeout | undefined;
  let termTimer: NodeJS.Timeout | undefined;

  const stop = (reason: SpawnResult) => {
    if (stopped !== undefined) return;
    stopped = reason;
    // What it has left behind is dealt with below.
    if (child.exitCode !== null || child.signalCode !== null) return;
    signalGroup(group, "SIGTERM");
    termTimer = setInterval(() => signalGroup(group, "SIGTERM"), TERM_AGAIN_MS);
    killTimer = setTimeout(() => signalGroup(group, "SIGKILL"), graceMs);
  };
  const onAbort = () => stop({ kind: "cancelled" });
  const deadline = setTimeout(
    () => stop({ kind: "timed-out", afterMs: options.deadlineMs, stderr: "" }),
    options.deadlineMs,
  );
  const { yieldAfterMs, comesLast = false } = options;
  const { PRIORITY_LOW, PRIORITY_BELOW_NORMAL } = osConstants.priority;
  if (comesLast) yieldProcessor(group, PRIORITY_LOW);
  const yielding =
    yieldAfterMs === undefined || comesLast
      ? undefined
      : setTimeout(() => yieldProcessor(group, PRIORITY_BELOW_NORMAL), yieldAfterMs);
  const settle = (result: SpawnResult) => {
    clearTimeout(deadline);
    clearTimeout(yielding);
    clearTimeout(killTimer);
    clearInterval(termTimer);
    options.signal?.removeEventListener("abort", onAbort);
    resolve(result);
  };

  options.signal?.addEventListener("abort", onAbort, { once: true });
  const stdout = collect(child.stdout, limitBytes, () =>
    stop({ kind: "too-much-output", limitBytes }),
  );
  child.stderr.on("data", (chunk: Buffer) => {
    stderr.push(chunk);
    lines?.push(chunk);
  });
  // A process that ends without reading its input is not our failure; its exit code says it all.
  child.stdin.on("error", () => undefined);
  child.stdin.end(options.input);

  // A process left behind can hold the pipes open long after the one that was waited for.
  child.on("exit", () => {
    clearInterval(termTimer);
    clearTimeout(killTimer);
    const leftMs = stopped === undefined ? Math.max(graceMs, LEAST_READING_MS) : graceMs;
    killTimer = setTimeout(() => {
      signalGroup(group, "SIGKILL");
      child.stdout.destroy();
      child.stderr.destroy();
    }, leftMs);
  });
  child.on("close", (code, signal) => {
    lines?.end();
    const errors = stderr.text();
    if (stopped?.kind === "timed-out") settle({ ...stopped, stderr: errors });
    else if (stopped !== undefined) settle(stopped);
    else if (signal !== null) settle({ kind: "signalled", signal, stderr: errors });
    else settle({ kind: "exited", code: code ?? -1, stdout: stdout(), stderr: errors });
  });
  return promise;
}

function yieldProcessor(pid: number, priority: number): void {
  try {
    setPriority(pid, priority);
  } catch (error) {
    // It has ended by itself in the meantime.
    if ((error as NodeJS.ErrnoException).code !== "ERR_SYSTEM_ERROR") throw error;
  }
}

function signalGroup(group: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-group, signal);
  } catch (error) {
    // The group has ended by itself in the meantime.
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** Collects a stream up to a limit; beyond it keeps reading, so that the writer does not block. */
function collect(stream: Readable, limitBytes: number, onLimit: () => void): () => string {
  const chunks: Buffer[] = [];
  let size = 0;
  stream.on("data", (chunk: Buffer) => {
    size += chunk.length;
    if (size <= limitBytes) chunks.push(chunk);
    else onLimit();
  });
  return () => Buffer.concat(chunks).toString("utf8");
}

function keepTail(limitBytes: number) {
  let chunks: Buffer[] = [];
  let size = 0;
  const compact = () => {
    const all = Buffer.concat(chunks);
    chunks = [all.subarray(Math.max(0, all.length - limitBytes))];
    size = Math.min(size, limitBytes);
  };
  return {
    push(chunk: Buffer): void {
      chunks.push(chunk);
      size += chunk.length;
      if (size > 2 * limitBytes) compact();
    },
    text(): string {
      compact();
      return Buffer.concat(chunks).toString("utf8");
    },
  };
}

function splitLines(onLine: (line: string) => void) {
  const decoder = new StringDecoder("utf8");
  let rest = "";
  return {
    push(chunk: Buffer): void {
      // What shows its progress in place, as git does, ends its lines with a carriage return.
      const parts = (rest + decoder.write(chunk)).split(/\r?\n|\r/);
      rest = (parts.pop() ?? "").slice(0, MAX_LINE_CHARACTERS);
      for (const line of parts) onLine(line);
    },
    end(): void {
      if (rest !== "") onLine(rest);
    },
  };
}
