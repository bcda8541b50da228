// What the simulated world's Worker is told with a request, and what it tells of what it did.

import type { Place } from "./figures.ts";

/** JSON of a `PlaceOfRequest`; without it nothing takes any time. */
export const PLACE_HEADER = "World-Place";
/** How many milliseconds of the world passed until the answer. */
export const TOOK_HEADER = "World-Took";
/** Answers with the `Operations` since it was asked last. */
export const OPERATIONS_PATH = "/operations";

export interface PlaceOfRequest extends Place {
  /** By how much the Worker's clock is ahead of this machine's. */
  readonly aheadMs: number;
}

/** As they are billed: KV's by the key, R2's by the class. */
export interface Operations {
  readonly requests: number;
  readonly kvReads: number;
  readonly kvWrites: number;
  readonly r2Reads: number;
  readonly r2Writes: number;
  readonly cacheReads: number;
  readonly cacheWrites: number;
  readonly originRequests: number;
}

export const NO_OPERATIONS: Operations = {
  ...{ requests: 0, kvReads: 0, kvWrites: 0, r2Reads: 0, r2Writes: 0 },
  ...{ cacheReads: 0, cacheWrites: 0, originRequests: 0 },
};
