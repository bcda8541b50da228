// The names of which a blob was lately looked for among the configs of their images, in vain: the
// layers of a new image, of which there are many, are not all looked for. Plain data, bounded.

export interface VainTries {
  add(name: string, nowMs: number): void;
  has(name: string, nowMs: number): boolean;
}

const LIFE_MS = 10_000;
const MAX_NAMES = 10_000;

export function createVainTries(): VainTries {
  const untilMs = new Map<string, number>();
  return {
    add(name, nowMs) {
      // Forgetting all of them costs one more try each: cheaper than keeping an order.
      if (untilMs.size >= MAX_NAMES) untilMs.clear();
      untilMs.set(name, nowMs + LIFE_MS);
    },
    has: (name, nowMs) => nowMs < (untilMs.get(name) ?? 0),
  };
}
