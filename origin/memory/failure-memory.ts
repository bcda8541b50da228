// Failures that are told again for a while instead of being run into again: a client that retries,
// or a thousand that pull the same broken image, cost one attempt. Never for what may go better by
// itself.

import { isYounger } from "../../registry/between/age.ts";
import { recentValues } from "./recent-values.ts";

export interface FailureMemory<Failure> {
  lookup(key: string): Failure | undefined;
  store(key: string, failure: Failure): void;
}

export interface FailureMemoryOptions {
  /** For how long a failure is told again; 0 remembers none. */
  readonly forMs: number;
  readonly now: () => number;
}

const MAX_FAILURES = 5000;

export function rememberFailures<Failure>({
  forMs,
  now,
}: FailureMemoryOptions): FailureMemory<Failure> {
  const recent = recentValues<{ readonly failure: Failure; readonly atMs: number }>(MAX_FAILURES);
  return {
    lookup(key) {
      const known = recent.lookup(key);
      return known && isYounger(known.atMs, now(), forMs) ? known.failure : undefined;
    },
    store(key, failure) {
      recent.store(key, { failure, atMs: now() });
    },
  };
}
