// Starts an evaluation of one of the expressions in nix/, which is what a package set's own code runs
// in: within limits of memory, time and output, so that whatever it does costs nobody else.

import { evaluationMessage } from "./nix-error.ts";
import type { NixTool } from "./nix-tool.ts";
import { featureOptions, type PinnedSource } from "./pinned-source.ts";
import type { SpawnResult } from "./spawn.ts";

/** Names, libraries, stacks and texts are beside the collected heap. */
const BESIDE_HEAP_BYTES = 512 * 1024 ** 2;
/** All names of a large set are less than 1 MB, and are read on the thread that answers everybody. */
const MAX_OUTPUT_BYTES = 16 * 1024 ** 2;
/** Nix ends the builders that an evaluation may need within 2 s, and does not listen while it computes. */
const KILL_GRACE_MS = 3000;

/** Names of nixpkgs are found out within a second or two. From then on it takes what others leave. */
export const LONG_EVALUATION_MS = 5000;

export type EvaluatingNix = Pick<NixTool, "run" | "expressions" | "evaluationMemoryBytes">;

export interface EvaluationOptions {
  readonly source: PinnedSource;
  /** Beside the source. */
  readonly args?: readonly string[];
  readonly deadlineMs: number;
  readonly maxOutputBytes?: number;
  readonly signal?: AbortSignal;
  /** Derivations are named and not written, which is most of the work where there are many. */
  readonly isReadOnly?: boolean;
  /** As of what nobody waits for. */
  readonly comesLast?: boolean;
  readonly onStderrLine?: (line: string) => void;
}

export function runEvaluation(
  nix: EvaluatingNix,
  expression: `${string}.nix`,
  options: EvaluationOptions,
): Promise<SpawnResult> {
  const { source, args = [], maxOutputBytes = MAX_OUTPUT_BYTES, isReadOnly = false } = options;
  const { deadlineMs, signal, comesLast = false, onStderrLine } = options;
  return nix.run(
    "nix-instantiate",
    [
      // Without read-write mode no derivation is written, and the set is not copied to the store.
      ...["--eval", "--strict", "--json", ...(isReadOnly ? [] : ["--read-write-mode"])],
      ...featureOptions(source),
      `${nix.expressions}/${expression}`,
      ...["--argstr", "source", JSON.stringify(source)],
      ...args,
    ],
    {
      ...{ deadlineMs, comesLast },
      ...(signal !== undefined && { signal }),
      ...(onStderrLine !== undefined && { onStderrLine }),
      maxMemoryBytes: nix.evaluationMemoryBytes + BESIDE_HEAP_BYTES,
      maxStdoutBytes: maxOutputBytes,
      // Without derivations there are no builders.
      killGraceMs: isReadOnly ? 0 : KILL_GRACE_MS,
      yieldAfterMs: LONG_EVALUATION_MS,
    },
  );
}

/**
 * Whether an evaluation took all the memory it may have. Nix's collector gives up at its limit, and what
 * is not collected at that of the process; some of Nix's threads catch nothing.
 */
export function isOutOfMemory(
  ended: Extract<SpawnResult, { readonly kind: "exited" | "signalled" }>,
): boolean {
  if (ended.kind === "signalled") return /^terminate called .*bad_alloc/m.test(ended.stderr);
  return (
    ended.code !== 0 && /^(?:out of memory|std::bad_alloc)$/.test(evaluationMessage(ended.stderr))
  );
}
