// The marks of a location: when each image that is not kept was first asked for there, all of them in one
// copy in the location's own cache, so that a pull costs no call of its own for them. It may be gone at any
// moment, and isolates that write at once lose one another's until they write again; where there is no such
// cache each isolate has its own alone. Nothing depends on it.

import { isYounger } from "../../registry/between/age.ts";
import { SEEN_LIFE_MS, seenBefore } from "../../registry/between/keeping.ts";
import { readLimited } from "../../registry/http/body.ts";
import { parseJson } from "../../registry/http/json.ts";
import { MAX_MARKS } from "../isolate/seen-once.ts";
import type { Edge } from "../request/edge.ts";
import { cacheKey } from "./keys.ts";
import { attempt } from "./tiers.ts";

/** A mark and its time take 34. */
const MAX_BYTES = 40 * MAX_MARKS;

/** What the isolate has seen itself goes before what others say of it. */
export async function readMarks(edge: Edge): Promise<void> {
  const bytes = await attempt(edge, "cache", async () => {
    const marks = await edge.cache.match(cacheKey.seen(edge.host));
    return readLimited(marks?.body ?? null, MAX_BYTES);
  });
  const json = bytes && parseJson(bytes);
  if (typeof json !== "object" || json === null) return;
  const nowMs = edge.now();
  // Without a schema: there are thousands, and nobody but this file writes them.
  for (const [mark, atMs] of Object.entries(json)) {
    if (!/^[0-9a-f]{16}$/.test(mark) || typeof atMs !== "number") continue;
    if (seenBefore(edge.seen.firstMs(mark), nowMs) === "never") edge.seen.note(mark, atMs);
  }
}

export async function writeMarks(edge: Edge): Promise<void> {
  const nowMs = edge.now();
  const marks = [...edge.seen.marks()].filter(([, atMs]) => isYounger(atMs, nowMs, SEEN_LIFE_MS));
  const body = new TextEncoder().encode(JSON.stringify(Object.fromEntries(marks)));
  const headers = {
    "Content-Type": "application/json",
    "Content-Length": String(body.length),
    "Cache-Control": `max-age=${SEEN_LIFE_MS / 1000}`,
  };
  await attempt(edge, "cache", () =>
    edge.cache.put(cacheKey.seen(edge.host), new Response(body, { headers })),
  );
}
