// Which blobs this isolate lately began to put into its location's cache, of which a part was asked for, and
// at whose copies it has looked: plain data, bounded, and for a minute.

import { isYounger } from "../../registry/between/age.ts";
import type { Digest } from "../../registry/naming/digest.ts";

export interface FillClaims {
  /** Whether the caller is to fill: nobody of this isolate was within the last minute. */
  claim(digest: Digest, nowMs: number): boolean;
  /** Whether another part of it was asked for within the last minute. */
  isAskedAgain(digest: Digest, nowMs: number): boolean;
  /** Whether the caller is to look if the copy is whole: nobody of this isolate has within the last minute. */
  claimLook(digest: Digest, nowMs: number): boolean;
}

/** As long as the location's own mark lives. A fill that has failed is tried again after it. */
export const FILL_LIFE_MS = 60_000;
const MAX_BLOBS = 10_000;

export function createFillClaims(): FillClaims {
  const claimed = new Map<Digest, number>();
  const asked = new Map<Digest, number>();
  const lookedAt = new Map<Digest, number>();
  return {
    claim: (digest, nowMs) => !notedWithin(claimed, digest, nowMs),
    isAskedAgain: (digest, nowMs) => notedWithin(asked, digest, nowMs),
    claimLook: (digest, nowMs) => !notedWithin(lookedAt, digest, nowMs),
  };
}

/** Whether it was, and notes it where it was not. */
function notedWithin(notedAtMs: Map<Digest, number>, digest: Digest, nowMs: number): boolean {
  const atMs = notedAtMs.get(digest);
  if (atMs !== undefined && isYounger(atMs, nowMs, FILL_LIFE_MS)) return true;
  // Forgetting all of them costs one more look into the cache each: cheaper than keeping an order.
  if (notedAtMs.size >= MAX_BLOBS) notedAtMs.clear();
  notedAtMs.set(digest, nowMs);
  return false;
}
