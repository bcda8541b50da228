// The popularity data that a package set carries itself, `popularity.json` at its top, as Nix
// fetches the set at a pin.

import * as v from "valibot";
import { evaluationMessage } from "./nix-error.ts";
import type { PinnedSource } from "./pinned-source.ts";
import { type EvaluatingNix, runEvaluation } from "./run-evaluation.ts";

export type CarriedPopularity =
  /** Unchecked; null where the set has no such file. */
  | { readonly kind: "read"; readonly text: string | null }
  | { readonly kind: "failed"; readonly reason: string };

/** A start waits for it. */
const DEADLINE_MS = 20_000;
/** Twice what such a file may have: a line's end takes two bytes in JSON. */
const MAX_OUTPUT_BYTES = 64 * 1024 ** 2;
const answerSchema = v.nullable(v.string());

/** Throws the signal's reason when it is aborted. */
export async function readCarriedPopularity(
  nix: EvaluatingNix,
  source: PinnedSource,
  signal?: AbortSignal,
): Promise<CarriedPopularity> {
  const result = await runEvaluation(nix, "popularity.nix", {
    ...{ source, deadlineMs: DEADLINE_MS, maxOutputBytes: MAX_OUTPUT_BYTES },
    ...(signal && { signal }),
  });
  signal?.throwIfAborted();
  if (result.kind === "timed-out") {
    return failed(`the package set was not read in ${DEADLINE_MS / 1000} s`);
  }
  if (result.kind !== "exited") return failed(`evaluation ${result.kind}`);
  if (result.code !== 0) return failed(evaluationMessage(result.stderr));
  return { kind: "read", text: v.parse(answerSchema, JSON.parse(result.stdout)) };
}

function failed(reason: string): CarriedPopularity {
  return { kind: "failed", reason };
}
