// The networks that were lately found to ask for too much, and until when: plain data, bounded.

export interface Refusals {
  add(network: string, untilMs: number): void;
  has(network: string, nowMs: number): boolean;
}

const MAX_NETWORKS = 10_000;

export function createRefusals(): Refusals {
  const untilMs = new Map<string, number>();
  return {
    add(network, until) {
      // Forgetting all of them costs a request to the origin each: cheaper than keeping an order.
      if (untilMs.size >= MAX_NETWORKS) untilMs.clear();
      untilMs.set(network, until);
    },
    has: (network, nowMs) => nowMs < (untilMs.get(network) ?? 0),
  };
}
