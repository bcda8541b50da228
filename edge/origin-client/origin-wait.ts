// Waits on the client's behalf for an image that the origin is still building, so that a user sees
// one slow pull where a client would have given up: docker does not ask again after a 503.

import { isStillBuilding } from "../../registry/http/building.ts";
import { RegistryError } from "../../registry/http/error.ts";

export interface OriginWait {
  /**
   * For how long it is asked again. What is asked within this time is waited for, so all of it may
   * take longer by one answer of the origin.
   */
  readonly limitMs: number;
  /** Aborted when the client leaves. */
  readonly client: AbortSignal;
}

/**
 * Asks until the answer is another than "still building", and never earlier than that answer says.
 * It counts where asking again would be beyond the limit, and when the client leaves.
 */
export async function untilBuilt<Result>(
  ask: () => Promise<Result>,
  { limitMs, client }: OriginWait,
): Promise<Result> {
  // In a Worker this clock stands still while code runs, and is right again after each answer.
  const endMs = performance.now() + limitMs;
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      const afterMs = retryAfterMs(error);
      if (afterMs === undefined || performance.now() + afterMs > endMs) throw error;
      if (!(await pause(afterMs, client))) throw error;
    }
  }
}

const DEFAULT_RETRY_AFTER_SECONDS = 1;

/** Undefined for whatever is no build under way. */
function retryAfterMs(error: unknown): number | undefined {
  if (!(error instanceof RegistryError) || error.code !== "UNAVAILABLE") return undefined;
  const { detail, retryAfterSeconds = DEFAULT_RETRY_AFTER_SECONDS } = error.options;
  // At least a little, whatever it says: an origin in trouble must not be asked in a tight loop.
  return isStillBuilding(detail) ? 1000 * Math.max(retryAfterSeconds, 0.1) : undefined;
}

/** Whether the time passed before it was stopped. */
async function pause(ms: number, stopped: AbortSignal): Promise<boolean> {
  if (stopped.aborted) return false;
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => resolve(true), ms);
  const onStop = () => resolve(false);
  stopped.addEventListener("abort", onStop, { once: true });
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    stopped.removeEventListener("abort", onStop);
  }
}
