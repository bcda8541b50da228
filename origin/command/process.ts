// How a command starts and ends: one message for what a person can mend, exit codes, signals.

import { DebianSetError } from "../../nix/debian/generate.ts";
import { HostProblem } from "./host.ts";

/** A mistake of the user's or the machine's, said in words and without a stack. */
export class CommandError extends Error {}

export function fail(message: string): never {
  throw new CommandError(message);
}

/** Runs a command to its end: exit 0, or 1 with a message. */
export async function endWith(command: () => Promise<void>): Promise<void> {
  try {
    await command();
    process.exit(0);
  } catch (error) {
    process.stderr.write(`nixport: ${messageOf(error)}\n`);
    process.exit(1);
  }
}

/** Resolves with the first SIGINT, SIGTERM or SIGHUP. */
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
  return promise;
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if ("code" in error && error.code === "EADDRINUSE") {
    return `${error.message}: another program has the port; PORT and EDGE_PORT choose others`;
  }
  const expected = [CommandError, HostProblem, DebianSetError].some(
    (kind) => error instanceof kind,
  );
  return expected ? error.message : (error.stack ?? error.message);
}
