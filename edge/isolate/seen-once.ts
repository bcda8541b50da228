// When this isolate first saw that something was asked for which is not kept: plain data, bounded.

export interface SeenOnce {
  firstMs(key: string): number | undefined;
  note(key: string, atMs: number): void;
}

const MAX_KEYS = 10_000;

export function createSeenOnce(): SeenOnce {
  const firstMs = new Map<string, number>();
  return {
    firstMs: (key) => firstMs.get(key),
    note(key, atMs) {
      // Forgetting all of them has each kept one pull later: cheaper than keeping an order.
      if (firstMs.size >= MAX_KEYS) firstMs.clear();
      firstMs.set(key, atMs);
    },
  };
}
