// The pulls that this isolate has answered by itself and its origin has not heard of yet: plain data, bounded.
// What is lost with an isolate, or where there are too many, is noted with a later pull.

import { isYounger } from "../../registry/between/age.ts";
import {
  MAX_PULLED_PER_BODY,
  type PulledImage,
  TELL_AFTER_MS,
  TELL_AGAIN_MS,
} from "../../registry/between/pulled-images.ts";
import type { Digest } from "../../registry/naming/digest.ts";

export interface PullsToTell {
  /**
   * `of`: the name that it was asked for by; null where that was the digest. What of it is to be noted is only
   * asked for where it was not noted lately. Gives what is to be told now: none until it is time.
   */
  note(pull: AnsweredPull, nowMs: number): readonly PulledImage[];
}

export interface AnsweredPull {
  readonly digest: Digest;
  readonly of: string | null;
  readonly images: () => readonly PulledImage[];
}

const MAX_KEYS = 10_000;

export function createPullsToTell(): PullsToTell {
  const notedMs = new Map<string, number>();
  let waiting: PulledImage[] = [];
  let toldAtMs = Number.NEGATIVE_INFINITY;

  function noteOnce({ digest, of, images }: AnsweredPull, nowMs: number): void {
    const what = of === null ? digest : `${of} ${digest}`;
    const beforeMs = notedMs.get(what);
    if (beforeMs !== undefined && isYounger(beforeMs, nowMs, TELL_AGAIN_MS)) return;
    // Forgetting all of them has each told once more: cheaper than keeping an order.
    if (notedMs.size >= MAX_KEYS) notedMs.clear();
    const noted = images();
    // A client asks for the tag and then for its digest.
    for (const key of [what, digest, ...noted.flatMap(({ manifests }) => manifests)]) {
      notedMs.set(key, nowMs);
    }
    if (waiting.length + noted.length <= MAX_PULLED_PER_BODY) waiting.push(...noted);
  }

  return {
    note(pull, nowMs) {
      noteOnce(pull, nowMs);
      if (waiting.length === 0 || isYounger(toldAtMs, nowMs, TELL_AFTER_MS)) return [];
      toldAtMs = nowMs;
      const due = waiting;
      waiting = [];
      return due;
    },
  };
}
