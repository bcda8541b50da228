// What `nixport` dispatches to: one of its words, with a help of its own.

import type { EnvironmentVariables } from "../configuration/variables.ts";

export interface Subcommand {
  /** One line of `nixport --help`. */
  readonly summary: string;
  /** All of `nixport <word> --help`; its first line starts with "usage: ". */
  readonly help: string;
  /** Ends by itself, or throws: a UsageError for what the arguments say, else a CommandError. */
  readonly run: (args: readonly string[], context: CommandContext) => Promise<void>;
}

export interface CommandContext {
  readonly env: EnvironmentVariables;
  /** Aborted with Interrupted when the user stops the command: throw its reason. */
  readonly signal: AbortSignal;
}
