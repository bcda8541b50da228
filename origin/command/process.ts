// How a command starts and ends: one message for what a person can mend, exit codes, signals.

import { DebianSetError } from "../../nix/debian/generate.ts";
import { StoreProblem } from "../nix/store-place.ts";
import { PopularityProblem } from "../popularity/problem.ts";
import { NotReady } from "../readiness.ts";
import { StorageProblem } from "../storage/storage-failed.ts";
import { HostProblem } from "./host-problem.ts";

/** A mistake of the user's or the machine's, said in words and without a stack. */
export class CommandError extends Error {}

export function fail(message: string): never {
  throw new CommandError(message);
}

/** For what readConfig and its like find wrong with the environment. */
export function wrongConfiguration(problems: readonly string[]): string {
  return `the configuration is wrong:\n${problems.map((text) => `  - ${text}`).join("\n")}`;
}

/** A command line that means nothing. */
export class UsageError extends CommandError {}

/** The user asked for the end: nothing has gone wrong, and nothing is finished. */
export class Interrupted extends CommandError {}

/** Runs a command to its end: exit 0, or 1 with a message; 2 for its usage, 130 after Ctrl-C. */
export async function endWith(command: () => Promise<void>): Promise<void> {
  try {
    await command();
    process.exit(0);
  } catch (error) {
    process.stderr.write(`nixport: ${messageOf(error)}\n`);
    process.exit(exitCodeOf(error));
  }
}

function exitCodeOf(error: unknown): number {
  if (isUsageError(error)) return 2;
  return error instanceof Interrupted ? 130 : 1;
}

function isUsageError(error: unknown): boolean {
  if (error instanceof UsageError) return true;
  // Of node:util's parseArgs; its messages are for people.
  return error instanceof Error && "code" in error && `${error.code}`.startsWith("ERR_PARSE_ARGS");
}

const PARENT_POLL_MS = 500;
/** Longer than a part may take to end, and than npm start waits before it kills one (15 s). */
const ORPHAN_END_MS = 20_000;

/**
 * Resolves with the first SIGINT, SIGTERM or SIGHUP, or when the command of ours that has started this
 * one is gone: one that was killed passes no signal on.
 */
export function onStop(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let asked = false;
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => {
      // npm and a terminal both pass one Ctrl-C on, so repeats within the draining are no haste.
      if (!asked) resolve();
      asked = true;
    });
  }
  whenOrphaned(() => {
    resolve();
    // Nobody is left who would end it by force.
    setTimeout(() => process.exit(1), ORPHAN_END_MS).unref();
  });
  return promise;
}

/** A process that is started by hand may outlive its parent, such as a shell. */
function whenOrphaned(act: () => void): void {
  const parent = process.ppid;
  if (process.env.NIXPORT_PARENT !== String(parent)) return;
  const poll = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(poll);
    act();
  }, PARENT_POLL_MS);
  poll.unref();
}

/** By which a command knows that it is this one that has started it. */
export function asParent(): { readonly NIXPORT_PARENT: string } {
  return { NIXPORT_PARENT: String(process.pid) };
}

/** What a part says of itself once it answers; `shortcoming` is what it cannot do for now. */
export interface Listening {
  readonly kind: "listening";
  readonly shortcoming: string | null;
}

/** Says that a server answers now: to the user, and to the command that has started this one. */
export function sayListening(line: string, shortcoming: string | null = null): void {
  process.stdout.write(`${line}${shortcoming === null ? "" : `, but ${shortcoming}`}\n`);
  process.send?.({ kind: "listening", shortcoming } satisfies Listening);
}

export function isListening(message: unknown): message is Listening {
  return (message as Partial<Listening> | null)?.kind === "listening";
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if ("code" in error && error.code === "EADDRINUSE") {
    return `${error.message}: another program has the port; PORT and EDGE_PORT choose others`;
  }
  const expected = [
    CommandError,
    HostProblem,
    StorageProblem,
    StoreProblem,
    DebianSetError,
    PopularityProblem,
    NotReady,
  ].some((kind) => error instanceof kind);
  // What the system says of a file names the file, and that is all a person needs.
  const ofSystem = "syscall" in error && "path" in error;
  return expected || ofSystem || isUsageError(error)
    ? error.message
    : (error.stack ?? error.message);
}
