// The names of which a blob was lately looked for among the configs of their images, in vain: the
// layers of a new image, of which there are many, are not all looked for. Plain data, bounded.

import { isYounger } from "../../registry/between/age.ts";

export interface VainTries {
  add(name: string, nowMs: number): void;
  has(name: string, nowMs: number): boolean;
}

const LIFE_MS = 10_000;
const MAX_NAMES = 10_000;

export function createVainTries(): VainTries {
  const triedAtMs = new Map<string, number>();
  return {
    add(name, nowMs) {
      // Forgetting all of them costs one more try each: cheaper than keeping an order.
      if (triedAtMs.size >= MAX_NAMES) triedAtMs.clear();
      triedAtMs.set(name, nowMs);
    },
    has: (name, nowMs) =>
      isYounger(triedAtMs.get(name) ?? Number.NEGATIVE_INFINITY, nowMs, LIFE_MS),
  };
}
