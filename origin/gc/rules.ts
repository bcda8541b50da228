// What a collector goes by: how long, how much, and what counts as young.

import { TELL_AGAIN_MS } from "../../registry/between/pulled-images.ts";
import { NOTED_WITHIN_MS } from "../pulled/pull-notes.ts";

export interface Rules {
  /** What nobody has pulled for so long goes. */
  readonly keepMs: number;
  /** What was written or pulled within this time stays, whatever the other rules say. */
  readonly graceMs: number;
  /** Of all values together; null: no limit. */
  readonly maxBytes: number | null;
  readonly nowMs: number;
}

export const DAY_MS = 86_400_000;
export const DEFAULT_GRACE_MS = DAY_MS;

export function isYoung({ graceMs, nowMs }: Rules, storedAtMs: number): boolean {
  return nowMs - storedAtMs < graceMs;
}

/** Of a pull, whose note may say an earlier time, and an edge that answers it tells of it less often. */
export function wasPulledWithin(ms: number, pulledAtMs: number, { nowMs }: Rules): boolean {
  return ms > 0 && nowMs - pulledAtMs < ms + NOTED_WITHIN_MS + TELL_AGAIN_MS;
}
