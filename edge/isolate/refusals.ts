// The networks that were lately found to ask for too much, and when: plain data, bounded.

import { isYounger } from "../../registry/between/age.ts";

export interface Refusals {
  add(network: string, nowMs: number): void;
  has(network: string, nowMs: number): boolean;
}

/** The limit's own period, which wrangler.toml says. */
export const REFUSED_SECONDS = 60;
const MAX_NETWORKS = 10_000;

export function createRefusals(): Refusals {
  const refusedAtMs = new Map<string, number>();
  return {
    add(network, nowMs) {
      // Forgetting all of them costs a request to the origin each: cheaper than keeping an order.
      if (refusedAtMs.size >= MAX_NETWORKS) refusedAtMs.clear();
      refusedAtMs.set(network, nowMs);
    },
    has: (network, nowMs) =>
      isYounger(
        refusedAtMs.get(network) ?? Number.NEGATIVE_INFINITY,
        nowMs,
        1000 * REFUSED_SECONDS,
      ),
  };
}
