// What is known of the work for one image, and what its watchers are to be told of it now.

import { isYounger } from "../../registry/between/age.ts";
import type { EdgeHas, ProgressEvent } from "../../registry/http/progress.ts";
import type { Digest } from "../../registry/naming/digest.ts";
import type { Stage } from "../waiting/hold-request.ts";
import { tellStage } from "./told-stage.ts";

/** What came of a piece of work. */
export type WorkEnd =
  | { readonly kind: "made"; readonly digest: Digest; readonly backfill: Backfill | null }
  | { readonly kind: "failed"; readonly message: string; readonly log: readonly string[] }
  /** For want of room. It is begun again for as long as its request is held. */
  | { readonly kind: "refused"; readonly message: string };

/** How far the edge has what was made. */
export type Backfill = () => BackfillState;

export type BackfillState =
  | { readonly kind: "under-way"; readonly stage: Stage }
  | { readonly kind: "over"; readonly edge: EdgeHas };

export interface Ended {
  readonly end: WorkEnd;
  readonly atMs: number;
}

export type WatchedWork =
  | { readonly kind: "under-way"; readonly stage: Stage; readonly beganAtMs: number }
  | { readonly kind: "ended"; readonly ended: Ended; readonly beganAtMs: number };

/** What was refused is begun again within a second, or never. */
const REFUSED_FOR_MS = 5000;
/** An edge that takes longer is not waited for. */
const BACKFILL_FOR_MS = 120_000;

export function eventOf(work: WatchedWork, nowMs: number): ProgressEvent {
  const { beganAtMs } = work;
  if (work.kind === "under-way") return stageEvent(work.stage, beganAtMs);
  const { end, atMs } = work.ended;
  switch (end.kind) {
    case "made": {
      const { digest } = end;
      const state = end.backfill?.() ?? ({ kind: "over", edge: "no-edge" } as const);
      if (state.kind === "over") return { event: "done", data: { digest, edge: state.edge } };
      if (isYounger(atMs, nowMs, BACKFILL_FOR_MS)) return stageEvent(state.stage, beganAtMs);
      return { event: "done", data: { digest, edge: "not-yet" } };
    }
    case "refused":
      if (isYounger(atMs, nowMs, REFUSED_FOR_MS)) return stageEvent({ kind: "queued" }, beganAtMs);
      return { event: "failed", data: { message: end.message, log: [] } };
    case "failed":
      return { event: "failed", data: { message: end.message, log: end.log } };
    default:
      return end satisfies never;
  }
}

function stageEvent(stage: Stage, beganAtMs: number): ProgressEvent {
  return { event: "stage", data: tellStage(stage, beganAtMs) };
}
