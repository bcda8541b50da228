// Which origins lately failed whoever asked them, and are passed over while others answer: a circuit breaker
// for each, as plain data. This isolate's own experience, since nobody else's would come sooner.

import { isYounger } from "../../registry/between/age.ts";

export interface OriginHealth {
  /** Whether it is asked in its turn. */
  isTrusted(url: string): boolean;
  /** Gives after how long it is looked at, where it is passed over from now on; undefined where it was before. */
  failed(url: string, nowMs: number): number | undefined;
  /** It did what it was asked. Whether it was passed over until now. */
  answered(url: string): boolean;
  /** It is there, which says nothing of what it answers. Whether it was passed over until now. */
  reached(url: string): boolean;
  /** Whether the caller is to look if it is there again. One at a time, and not before its time. */
  claimTrial(url: string, nowMs: number): boolean;
}

/** As long as a restart takes; each failure more, without an answer in between, doubles it. */
const FIRST_REST_MS = 5_000;
const LONGEST_REST_MS = 60_000;
/** A trial whose request was cut short is never ended; it counts no longer than this. */
const TRIAL_LIFE_MS = 10_000;

interface Failing {
  failures: number;
  isPassedOver: boolean;
  /** The next trial may begin so long after this. */
  restsFromMs: number;
  restMs: number;
}

/** There is an entry for each of the few origins that the settings name, at most. */
export function createOriginHealth(): OriginHealth {
  const failing = new Map<string, Failing>();
  return {
    isTrusted: (url) => failing.get(url)?.isPassedOver !== true,
    failed(url, nowMs) {
      const before = failing.get(url);
      const failures = (before?.failures ?? 0) + 1;
      const restMs = Math.min(FIRST_REST_MS * 2 ** (failures - 1), LONGEST_REST_MS);
      failing.set(url, { failures, isPassedOver: true, restsFromMs: nowMs, restMs });
      return before?.isPassedOver ? undefined : restMs;
    },
    answered(url) {
      const before = failing.get(url);
      failing.delete(url);
      return before?.isPassedOver === true;
    },
    reached(url) {
      const before = failing.get(url);
      if (before?.isPassedOver !== true) return false;
      before.isPassedOver = false;
      return true;
    },
    claimTrial(url, nowMs) {
      const state = failing.get(url);
      if (state?.isPassedOver !== true) return false;
      if (isYounger(state.restsFromMs, nowMs, state.restMs)) return false;
      state.restsFromMs = nowMs;
      state.restMs = TRIAL_LIFE_MS;
      return true;
    },
  };
}
