// Holds a client while the origin has no answer that stays: an image is being made, or waits for its
// turn. So a user sees one slow pull where a client would have given up, or would have asked six times
// within a second, whatever Retry-After says, and failed.

import { isStillBuilding } from "../../registry/http/building.ts";
import { RegistryError } from "../../registry/http/error.ts";
import type { Hold } from "../../registry/http/hold.ts";

/** How a client is held. */
export interface Held {
  /**
   * For how long the origin is asked again. What is asked within this time is waited for, so all of it
   * may take longer by one answer.
   */
  readonly againMs: number;
  /** When the client has its answer, whatever the origin does; null where it waits for any. */
  readonly limitMs: number | null;
  /** How it is told then that its image is still being made. */
  readonly code: "TOOMANYREQUESTS" | "UNAVAILABLE";
  /** Aborted when it leaves. */
  readonly left: AbortSignal;
}

/** `againMs` is the operator's word, the rest is the client's. */
export function heldBy(hold: Hold, againMs: number, left: AbortSignal): Held {
  const limitMs = hold.seconds === null ? null : 1000 * hold.seconds;
  return { againMs, limitMs, code: hold.status === 429 ? "TOOMANYREQUESTS" : "UNAVAILABLE", left };
}

export interface Attempt {
  /** Aborted when the client leaves, and when it must have its answer. */
  readonly signal: AbortSignal;
  /** By when there is to be an answer, so that the client gets it: it says more than none. */
  readonly leftMs: number;
}

/** Of a limit; the rest is for the way from the origin, and nothing is asked in it any more. */
export const ASKED_PART = 11 / 12;

/** Asks until there is an answer that stays, and never earlier than the last one says. */
export async function whileHeld<Result>(
  ask: (attempt: Attempt) => Promise<Result>,
  { againMs, limitMs, code, left }: Held,
): Promise<Result> {
  const over = new AbortController();
  const signal = AbortSignal.any([left, over.signal]);
  const timer = limitMs === null ? null : setTimeout(() => over.abort(), limitMs);
  // In a Worker this clock stands still while code runs, and is right again after each answer.
  const startMs = performance.now();
  const leftOf = (ms: number) => startMs + ms - performance.now();
  const answerMs = limitMs === null ? Number.POSITIVE_INFINITY : ASKED_PART * limitMs;
  let last = new RegistryError("UNAVAILABLE", "not ready yet: the origin is silent; try again");
  try {
    while (!signal.aborted) {
      try {
        return await ask({ signal, leftMs: leftOf(answerMs) });
      } catch (error) {
        if (signal.aborted) break;
        if (!(error instanceof RegistryError) || !mayPassSoon(error)) throw error;
        last = error;
        const afterMs = retryAfterMs(error);
        const isLast = afterMs > leftOf(Math.min(againMs, answerMs));
        // Held to the end all the same: told earlier, the client would ask earlier.
        await pause(isLast ? leftOf(Math.min(againMs, limitMs ?? againMs)) : afterMs, signal);
        if (isLast) break;
      }
    }
  } finally {
    if (timer !== null) clearTimeout(timer);
  }
  // Too much to do is that for everybody.
  throw last.code === "TOOMANYREQUESTS"
    ? last
    : new RegistryError(code, last.message, last.options);
}

/** Of an image under way, and of one whose turn has not come; nothing else passes by itself. */
function mayPassSoon({ code, options }: RegistryError): boolean {
  return code === "TOOMANYREQUESTS" || isStillBuilding(options.detail);
}

const DEFAULT_RETRY_AFTER_SECONDS = 1;

/** At least a little, whatever it says: an origin in trouble must not be asked in a tight loop. */
function retryAfterMs({ options }: RegistryError): number {
  return 1000 * Math.max(options.retryAfterSeconds ?? DEFAULT_RETRY_AFTER_SECONDS, 0.1);
}

/** Until the time has passed, or is stopped. */
async function pause(ms: number, stopped: AbortSignal): Promise<void> {
  if (stopped.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  const onStop = () => resolve();
  stopped.addEventListener("abort", onStop, { once: true });
  try {
    await promise;
  } finally {
    clearTimeout(timer);
    stopped.removeEventListener("abort", onStop);
  }
}
