// When it was first asked for what is not kept, as far as this isolate knows: plain data, bounded.

import { isYounger } from "../../registry/between/age.ts";

/** Stands for an image, by its name or its digest. */
export type Mark = string;

export interface SeenOnce {
  firstMs(mark: Mark): number | undefined;
  note(mark: Mark, atMs: number): void;
  /** Whether the caller is to look what the isolates of the location have seen, and to tell them. */
  claimExchange(nowMs: number): boolean;
  marks(): Iterable<readonly [mark: Mark, atMs: number]>;
}

/** All of them are read and written at once, behind the answer of one request. */
export const MAX_MARKS = 4096;
/** Short beside the time between two pulls, and long beside calls of the cache. */
const EXCHANGE_MS = 1000;

export function createSeenOnce(): SeenOnce {
  // In the order in which they were noted, so that the first is about the oldest.
  const firstMs = new Map<Mark, number>();
  let exchangedAtMs = Number.NEGATIVE_INFINITY;
  return {
    firstMs: (mark) => firstMs.get(mark),
    note(mark, atMs) {
      firstMs.delete(mark);
      firstMs.set(mark, atMs);
      if (firstMs.size <= MAX_MARKS) return;
      for (const oldest of firstMs.keys()) {
        firstMs.delete(oldest);
        break;
      }
    },
    claimExchange(nowMs) {
      if (isYounger(exchangedAtMs, nowMs, EXCHANGE_MS)) return false;
      exchangedAtMs = nowMs;
      return true;
    },
    marks: () => firstMs,
  };
}
