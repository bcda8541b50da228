// Whether what is known of a tag may be outdated, and what a client is told then.

import { isYounger } from "../../registry/between/age.ts";
import { describeAge, movedWarning, staleWarning } from "../../registry/http/warning.ts";
import { parsePin } from "../../registry/naming/pin.ts";
import type { Tag } from "../../registry/naming/reference.ts";
import type { Edge } from "../request/edge.ts";

/** Why an answer may be outdated; undefined for one that is fresh. A tag that is a pin always is. */
export function staleness(
  edge: Edge,
  tag: Tag,
  resolvedAtMs: number,
  isNewest: boolean,
): string | undefined {
  if (parsePin(tag) !== undefined) return undefined;
  if (!isNewest) return movedWarning(tag);
  if (isYounger(resolvedAtMs, edge.now(), edge.pinFreshMs)) return undefined;
  const age = describeAge(edge.now() - resolvedAtMs);
  return staleWarning(`${tag} was last resolved ${age} ago; it is being refreshed`);
}
