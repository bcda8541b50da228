// The popularity data that a package set carries itself, `popularity.json` at its top, as Nix
// fetches the set at a pin.

import * as v from "valibot";
import { evaluationMessage } from "./nix-error.ts";
import type { NixTool } from "./nix-tool.ts";
import { featureOptions, type PinnedSource } from "./pinned-source.ts";

export type CarriedPopularity =
  /** Unchecked; null where the set has no such file. */
  | { readonly kind: "read"; readonly text: string | null }
  | { readonly kind: "failed"; readonly reason: string };

/** A start waits for it. */
const DEADLINE_MS = 20_000;
const answerSchema = v.nullable(v.string());

/** Throws the signal's reason when it is aborted. */
export async function readCarriedPopularity(
  nix: Pick<NixTool, "run" | "expressions">,
  source: PinnedSource,
  signal?: AbortSignal,
): Promise<CarriedPopularity> {
  const result = await nix.run(
    "nix-instantiate",
    [
      // Without read-write mode the set itself is not copied to the store, to be read from there.
      ...["--eval", "--strict", "--json", "--read-write-mode", `${nix.expressions}/popularity.nix`],
      ...featureOptions(source),
      ...["--argstr", "source", JSON.stringify(source)],
    ],
    { deadlineMs: DEADLINE_MS, ...(signal && { signal }) },
  );
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
