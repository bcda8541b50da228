// The tiers of storage, asked one after another: an error of one is a miss, and a slow one is not
// waited for alone.

import type { Edge } from "../request/edge.ts";
import type { TimedStep } from "../request/trace.ts";

/**
 * Far beyond what either takes from the other end of the world: whoever waits for longer had better ask the
 * next tier, while the client still waits.
 */
const PATIENCE_MS = 5000;

/**
 * An error of a tier is a miss, never an answer: it is logged, and the next tier is asked. So is one that
 * does not answer.
 */
export async function attempt<Result>(
  edge: Edge,
  step: TimedStep,
  work: () => Promise<Result>,
): Promise<Result | undefined> {
  try {
    const result = await edge.trace.time(step, () => within(PATIENCE_MS, work()));
    if (result === "slow") throw new Error(`no answer within ${PATIENCE_MS} ms`);
    return result;
  } catch (cause) {
    edge.log({ level: "warn", event: `${step} failed`, cause });
    return undefined;
  }
}

/** A hot key of KV answers in a few milliseconds; beyond this R2 is asked as well. */
const KV_PATIENCE_MS = 150;
/** From a cold one, where R2 has failed and only the origin is left to ask. */
const KV_DEADLINE_MS = 2000;

/** KV alone, for what composing takes: the origin has it as well, and is asked before clients give up. */
export async function attemptKv<Result>(
  edge: Edge,
  work: () => Promise<Result>,
): Promise<Result | undefined> {
  const read = await within(KV_DEADLINE_MS, attempt(edge, "kv", work));
  return read === "slow" ? undefined : read;
}

/**
 * KV first, R2 where KV has nothing, fails or is slow. R2 is strongly consistent, so what it says it
 * does not have is not there, whatever KV would have said in the end; what it fails to say, KV may.
 * Null is for the caller to settle: KV has nothing, which may not be the last word.
 */
export async function kvThenR2<Found>(
  edge: Edge,
  fromKv: () => Promise<Found | null | undefined>,
  fromR2: () => Promise<Found | undefined>,
): Promise<Found | null | undefined> {
  const kv = attempt(edge, "kv", fromKv);
  const early = await within(KV_PATIENCE_MS, kv);
  if (early !== undefined && early !== "slow") return early;
  const r2 = attempt(edge, "r2", async () => (await fromR2()) ?? "absent");
  const told = await Promise.race([r2, kv.then(async (found) => found ?? (await r2))]);
  if (told !== undefined) return told === "absent" ? undefined : told;
  const late = await within(KV_DEADLINE_MS, kv);
  return late === "slow" ? undefined : late;
}

async function within<Result>(ms: number, work: Promise<Result>): Promise<Result | "slow"> {
  const { promise, resolve } = Promise.withResolvers<"slow">();
  const timer = setTimeout(() => resolve("slow"), ms);
  try {
    return await Promise.race([work, promise]);
  } finally {
    clearTimeout(timer);
  }
}
