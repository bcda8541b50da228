// How long a request is held while its image is made, and what it is told when that took longer: the
// rule of the edge and of the origin, which both read it off the table of clients.

import type { Client } from "./clients.ts";

export interface Hold {
  /** Null: until the image is there, as far as that is let take. */
  readonly seconds: number | null;
  /** What it is told then: what it asks again after, where there is such a thing. */
  readonly status: StillBuildingStatus;
}

/** 408 says the same to those who ask again after it, but it lets proxies close the connection. */
export type StillBuildingStatus = 429 | 503;

/**
 * Of what it waits: the rest is for the way of the answer, and for machines that are busy. More would be
 * dear: containerd 2.3 asks five times in all, and the first pull of a build of two minutes is to end well.
 */
const HELD_PART = 9 / 10;

export function holdOf({ headersWaitSeconds, asksAgain }: Client): Hold {
  const seconds = headersWaitSeconds === null ? null : Math.floor(HELD_PART * headersWaitSeconds);
  return { seconds, status: asksAgain.some(({ status }) => status === 429) ? 429 : 503 };
}
