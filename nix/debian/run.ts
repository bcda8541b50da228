// The only place of the Debian package set that starts a process: argument lists, never a shell,
// and a limit on time and output. A failure names the command and the end of what it said.

import { execFile } from "node:child_process";

const MAX_OUTPUT_BYTES = 256 * 1024 * 1024;
const STDERR_TAIL_CHARS = 2_000;
// Reading the largest index takes a second.
const TIMEOUT_MS = 60_000;

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string; // for its standard input, which is empty otherwise
  readonly timeoutMs?: number;
}

export class CommandError extends Error {
  constructor(command: readonly string[], reason: string, stderr: string) {
    const tail = stderr.trim().slice(-STDERR_TAIL_CHARS);
    const shown = command.join(" ");
    const abridged = shown.length > 300 ? `${shown.slice(0, 300)}…` : shown;
    super(`${abridged}: ${reason}${tail === "" ? "" : `\n${tail}`}`);
    this.name = "CommandError";
  }
}

// Answers what the command wrote to its standard output.
export function run(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  // What a failure says is the same on every machine, and can be searched for.
  const env = { ...process.env, LC_ALL: "C", ...options.env };
  return new Promise((resolve, reject) => {
    const child = execFile(
      command,
      args,
      { env, maxBuffer: MAX_OUTPUT_BYTES, timeout: options.timeoutMs ?? TIMEOUT_MS },
      (error, stdout, stderr) => {
        if (error === null) resolve(stdout);
        else reject(new CommandError([command, ...args], failureReason(error), stderr));
      },
    );
    // A command that ends without reading its input is no failure of ours; its exit code tells.
    child.stdin?.on("error", () => {});
    child.stdin?.end(options.input ?? "");
  });
}

function failureReason(error: Error & { code?: unknown; signal?: unknown }): string {
  if (error.code === "ENOENT") return "not found; is it installed?";
  if (error.code === "ERR_CHILD_PROCESS_STDIO_MAXBUFFER") return "wrote too much";
  if (typeof error.signal === "string") return `ended by ${error.signal}`;
  return `exit code ${String(error.code)}`;
}
