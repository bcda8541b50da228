// What Cloudflare charges beyond what a paid plan includes, at list prices of 2026-11-28, in dollars
// for a million. Sources: the pricing pages of Workers, KV and R2 below developers.cloudflare.com, as
// read by others on 2026-08-03 (github.com/halideworks/onelight/wiki/Pricing).

import type { Operations } from "./told.ts";

export const DOLLARS_PER_MILLION: Readonly<Record<keyof Operations, number>> = {
  requests: 0.3,
  kvReads: 0.5,
  kvWrites: 5,
  r2Reads: 0.36,
  r2Writes: 4.5,
  // The location's cache and what a Worker asks others for are not billed.
  cacheReads: 0,
  cacheWrites: 0,
  originRequests: 0,
};
/** Of a Worker's processor time, which is not counted in the simulated world. */
export const DOLLARS_PER_MILLION_CPU_MS = 0.02;
/**
 * An event in Workers Logs, beyond 20 million a month (unverified); each request is one where
 * `invocation_logs` is not switched off.
 */
export const DOLLARS_PER_MILLION_LOG_EVENTS = 0.6;
/** What leaves an object storage that charges for it, by the GB: S3's first 10 TB. R2 charges nothing. */
export const DOLLARS_PER_GB_ELSEWHERE = 0.09;

/** Of a million times what was counted once. */
export function dollarsOf(counted: Operations): number {
  const names = Object.keys(DOLLARS_PER_MILLION) as (keyof Operations)[];
  return names.reduce((sum, name) => sum + counted[name] * DOLLARS_PER_MILLION[name], 0);
}
