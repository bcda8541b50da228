// What was composed here and is not kept, in the location's own cache, so that the other requests of a
// pull find it whichever isolate they meet; and when it was first asked for. All of it may be gone at
// any moment, and where there is no such cache every request composes: nothing depends on it.

import { SEEN_LIFE_MS } from "../../registry/between/keeping.ts";
import { OCTET_STREAM } from "../../registry/image/media-type.ts";
import type { Digest } from "../../registry/naming/digest.ts";
import type { Document } from "../isolate/document-memory.ts";
import { type Manifest, verifyManifest } from "../isolate/manifest.ts";
import type { Edge } from "../request/edge.ts";
import { cacheKey } from "./keys.ts";
import { attempt } from "./tiers.ts";

export async function composedInCache(edge: Edge, digest: Digest): Promise<Manifest | undefined> {
  const key = cacheKey.composed(edge.host, digest);
  const cached = await edge.cache.match(key);
  if (cached === undefined) return undefined;
  const mediaType = cached.headers.get("Content-Type") ?? undefined;
  const manifest = await verifyManifest(await cached.bytes(), digest, mediaType);
  if (manifest === undefined) {
    edge.log({ level: "error", event: "corrupt manifest removed", tier: "cache", digest });
    edge.later("remove from cache", () => edge.cache.delete(key));
  }
  return manifest;
}

export async function cacheComposed(
  edge: Edge,
  manifests: readonly Manifest[],
  configs: readonly Document[],
): Promise<void> {
  await Promise.all([
    ...manifests.map(({ digest, mediaType, bytes }) =>
      put(edge, cacheKey.composed(edge.host, digest), bytes, mediaType),
    ),
    ...configs.map(({ digest, bytes }) =>
      put(edge, cacheKey.blob(edge.host, digest), bytes, OCTET_STREAM),
    ),
  ]);
}

export async function firstSeenMs(edge: Edge, what: string): Promise<number | undefined> {
  return attempt(edge, "cache", async () => {
    const mark = await edge.cache.match(await cacheKey.seen(edge.host, what));
    const text = (await mark?.text()) ?? "";
    return /^\d{1,15}$/.test(text) ? Number(text) : undefined;
  });
}

export async function markSeen(edge: Edge, what: string, atMs: number): Promise<void> {
  const key = await cacheKey.seen(edge.host, what);
  await put(edge, key, new TextEncoder().encode(String(atMs)), "text/plain");
}

function put(edge: Edge, key: string, bytes: Uint8Array, type: string): Promise<void> {
  const headers = {
    "Content-Type": type,
    "Content-Length": String(bytes.length),
    "Cache-Control": `max-age=${SEEN_LIFE_MS / 1000}`,
  };
  // Never of shared memory, which is all that the type of a body leaves out.
  return edge.cache.put(key, new Response(bytes as Uint8Array<ArrayBuffer>, { headers }));
}
