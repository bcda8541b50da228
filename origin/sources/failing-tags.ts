// Tags whose source does not answer: why, and how long each is left alone before it is asked again,
// twice as long after each failure.

import { isYounger } from "../../registry/between/age.ts";
import type { Tag } from "../../registry/naming/reference.ts";
import { recentValues } from "../memory/recent-values.ts";

export interface FailingTags {
  /** Returns for how many milliseconds the tag is left alone now. */
  add(tag: Tag, reason: string): number;
  remove(tag: Tag): void;
  /** Undefined for a tag whose source has answered last. */
  reasonOf(tag: Tag): string | undefined;
  isResting(tag: Tag): boolean;
}

const MAX_TAGS = 1000;
const FIRST_RETRY_MS = 2000;
const MAX_RETRY_MS = 300_000;

export function createFailingTags(now: () => number): FailingTags {
  const failing = recentValues<{
    readonly count: number;
    readonly atMs: number;
    readonly delayMs: number;
    readonly reason: string;
  } | null>(MAX_TAGS);
  return {
    add(tag, reason) {
      const count = (failing.lookup(tag)?.count ?? 0) + 1;
      const delayMs = Math.min(FIRST_RETRY_MS * 2 ** (count - 1), MAX_RETRY_MS);
      failing.store(tag, { count, atMs: now(), delayMs, reason });
      return delayMs;
    },
    remove(tag) {
      if (failing.lookup(tag)) failing.store(tag, null);
    },
    reasonOf: (tag) => failing.lookup(tag)?.reason,
    isResting(tag) {
      const last = failing.lookup(tag);
      return last ? isYounger(last.atMs, now(), last.delayMs) : false;
    },
  };
}
