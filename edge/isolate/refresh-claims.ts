// Refreshing behind an answer: one HEAD to the origin, which resolves the tag anew, builds what
// changed and backfills the pointer. The Worker writes nothing of it; it forgets a tag that the
// origin says is unknown. One at a time per image and isolate, and no more often than the spacing
// allows: a hot stale tag must not flood an origin.

import { isYounger } from "../../registry/between/age.ts";

export interface Refreshes {
  /** Whether the caller is to refresh now. */
  claim(key: string, nowMs: number): boolean;
  /** `warning`: what the origin said of its answer, which is as old as what is kept here. */
  release(key: string, nowMs: number, warning?: string): void;
  /** Of the last refresh of this isolate's: why the origin has nothing newer. */
  warningOf(key: string): string | undefined;
}

const SPACING_MS = 1000;
/** A claim whose request was cut short is never released; it counts no longer than this. */
const CLAIM_LIFE_MS = 120_000;
const MAX_KEYS = 10_000;

export function createRefreshes(): Refreshes {
  const resting = new Map<string, { readonly atMs: number; readonly forMs: number }>();
  const warnings = new Map<string, string>();
  return {
    claim(key, nowMs) {
      const rest = resting.get(key);
      if (rest && isYounger(rest.atMs, nowMs, rest.forMs)) return false;
      // Forgetting all of them costs one more HEAD each: cheaper than keeping an order.
      if (resting.size >= MAX_KEYS) resting.clear();
      resting.set(key, { atMs: nowMs, forMs: CLAIM_LIFE_MS });
      return true;
    },
    release(key, nowMs, warning) {
      resting.set(key, { atMs: nowMs, forMs: SPACING_MS });
      if (warnings.size >= MAX_KEYS) warnings.clear();
      if (warning === undefined) warnings.delete(key);
      else warnings.set(key, warning);
    },
    warningOf: (key) => warnings.get(key),
  };
}
