// When an image counts as asked for again, at either side: of what was asked for once neither keeps a
// manifest or a config, since both can be composed again.

import { isYounger } from "./age.ts";

/** HEAD and GET of a tag, then the digest, from however many nodes at once, come within this time. */
export const SAME_PULL_MS = 60_000;
/** For how long a pull counts as the one before. */
export const SEEN_LIFE_MS = 86_400_000;

export type Seen = "never" | "by this pull" | "by another";

export function seenBefore(firstMs: number | undefined, nowMs: number): Seen {
  if (firstMs === undefined || !isYounger(firstMs, nowMs, SEEN_LIFE_MS)) return "never";
  return nowMs - firstMs < SAME_PULL_MS ? "by this pull" : "by another";
}

/** By which the edge says that it keeps the image it asks for: a newer one is to be kept as well. */
export const KEPT_HEADER = "Nixport-Kept";
