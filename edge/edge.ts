// What the code below the boundary works with: one request's view of storage, origin and clock. The
// environment of the Worker is read in worker.ts alone.

import type { Platforms } from "../registry/platforms.ts";
import type { SecretKey } from "../registry/token.ts";
import type { ManifestMemory } from "./manifest-memory.ts";
import type { Origin } from "./origin.ts";
import type { Refreshes } from "./refresh.ts";
import type { TimedStep, Trail } from "./trail.ts";

export interface LogLine {
  readonly level: "info" | "warn" | "error";
  readonly event: string;
  readonly cause?: unknown;
  readonly [fact: string]: unknown;
}

export interface Edge {
  readonly kv: KVNamespace;
  readonly r2: R2Bucket;
  readonly cache: Cache;
  readonly memory: ManifestMemory;
  readonly refreshes: Refreshes;
  readonly origin: Origin;
  /** Empty without a secret: then nothing is ingested. */
  readonly secretKeys: readonly SecretKey[];
  readonly pinFreshMs: number;
  /** What a name without a platform is answered for. */
  readonly platforms: Platforms;
  readonly now: () => number;
  readonly trail: Trail;
  /** Throws TOOMANYREQUESTS for a client that asks for too much of what is not here. */
  readonly admitMiss: () => Promise<void>;
  /** Work behind the answer. It may be cut short, so nothing may depend on it. */
  readonly later: (event: string, work: () => Promise<unknown>) => void;
  readonly log: (line: LogLine) => void;
}

/** An error of a tier is a miss, never an answer: it is logged, and the next tier is asked. */
export async function attempt<Result>(
  edge: Edge,
  step: TimedStep,
  work: () => Promise<Result>,
): Promise<Result | undefined> {
  try {
    return await edge.trail.time(step, work);
  } catch (cause) {
    edge.log({ level: "warn", event: `${step} failed`, cause });
    return undefined;
  }
}

/** A hot key of KV answers in a few milliseconds; beyond this R2 is asked as well. */
const KV_PATIENCE_MS = 150;

/**
 * KV first, R2 where KV has nothing, fails or is slow. R2 is strongly consistent, so what it does
 * not have is not there, whatever KV would have said in the end.
 */
export async function kvThenR2<Found>(
  edge: Edge,
  fromKv: () => Promise<Found | undefined>,
  fromR2: () => Promise<Found | undefined>,
): Promise<Found | undefined> {
  const kv = attempt(edge, "kv", fromKv);
  const r2 = () => attempt(edge, "r2", fromR2);
  const impatience = delay(KV_PATIENCE_MS);
  const early = await Promise.race([kv, impatience.over]);
  impatience.cancel();
  if (early !== "slow") return early ?? (await r2());
  const second = r2();
  return Promise.race([kv.then((found) => found ?? second), second]);
}

function delay(ms: number) {
  const { promise, resolve } = Promise.withResolvers<"slow">();
  const timer = setTimeout(() => resolve("slow"), ms);
  return { over: promise, cancel: () => clearTimeout(timer) };
}
