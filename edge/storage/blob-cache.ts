// Blobs in the location's own cache, which is near its users where the bucket is in one place: found
// there whole or by a range, and put there behind an answer by a second read of R2. The answer's own
// bytes are not shared with the cache: tee() keeps in memory what the slower of two readers has not
// read. All of it may be gone at any moment, and nothing depends on it.

import { cancelBody } from "../../registry/http/body.ts";
import type { RequestedRange } from "../../registry/http/ranges.ts";
import { OCTET_STREAM } from "../../registry/image/media-type.ts";
import { type Digest, digestHex } from "../../registry/naming/digest.ts";
import { FILL_LIFE_MS } from "../isolate/fill-claims.ts";
import { fixedLength } from "../origin-client/verified-stream.ts";
import type { Edge } from "../request/edge.ts";
import { cacheKey, r2Key } from "./keys.ts";
import { attempt } from "./tiers.ts";

/** What the cache takes of one answer. */
const MAX_CACHED_BYTES = 512_000_000;
/** Whatever went wrong with a copy is over then; it costs one more read of R2 a day. */
const COPY_LIFE_SECONDS = 86_400;

export interface CachedBlob {
  /** Of the whole; undefined where the copy does not say. */
  readonly sizeBytes: number | undefined;
  /** As the cache says it; null for the whole. */
  readonly contentRange: string | null;
  readonly body: ReadableStream<Uint8Array> | null;
}

/** Undefined where there is no copy, or the cache gives something else of it than was asked for. */
export async function cachedBlob(
  edge: Edge,
  digest: Digest,
  range: RequestedRange | null,
): Promise<CachedBlob | undefined> {
  const headers = new Headers(range === null ? {} : { Range: rangeHeader(range) });
  const key = new Request(cacheKey.blob(edge.host, digest), { headers });
  const cached = await attempt(edge, "cache", () => edge.cache.match(key));
  if (!cached) return undefined;
  const contentRange = cached.headers.get("Content-Range");
  if ((range === null) !== (contentRange === null)) {
    await cancelBody(cached.body);
    return undefined;
  }
  const size = contentRange?.split("/")[1] ?? cached.headers.get("Content-Length") ?? "";
  const sizeBytes = /^\d{1,15}$/.test(size) ? Number(size) : undefined;
  return { sizeBytes, contentRange, body: cached.body };
}

/** Of bytes that were compared with their digest. */
export function cacheSmallBlob(edge: Edge, digest: Digest, bytes: Uint8Array): void {
  // Never of shared memory, which is all that the type of a body leaves out.
  const body = bytes as Uint8Array<ArrayBuffer>;
  edge.later("fill cache", () => put(edge, digest, body, body.length));
}

/**
 * Behind an answer of R2's. One of an isolate fills, and of a location whoever puts the mark there: two
 * that do so at once both fill, and put the same. A Worker may go on for 30 s after its answer; a fill
 * that is cut is begun anew after a minute. What a cut one leaves is nothing, or what is found out to be
 * too short when it is read.
 */
export function fillCache(edge: Edge, digest: Digest, sizeBytes: number): void {
  if (sizeBytes > MAX_CACHED_BYTES || !edge.fills.claim(digest, edge.now())) return;
  edge.later("fill cache", async () => {
    if (!(await markFilling(edge, digest))) return;
    const object = await edge.r2.get(r2Key.blob(digest));
    if (object === null) return;
    // What R2 has not compared with its digest is not copied.
    if (!isCompared(object, digest)) return cancelBody(object.body);
    await put(edge, digest, fixedLength(object.body, object.size), object.size);
  });
}

/** Whether R2 compared the bytes with their digest when they came, as with all that the edge puts there. */
export function isCompared({ checksums }: R2Object, digest: Digest): boolean {
  return checksums.toJSON().sha256 === digestHex(digest);
}

/** Where even the mark is not found again there is no cache to fill, as at a workers.dev address. */
async function markFilling(edge: Edge, digest: Digest): Promise<boolean> {
  const key = cacheKey.filling(edge.host, digest);
  if ((await edge.cache.match(key)) !== undefined) return false;
  const headers = { "Cache-Control": `max-age=${FILL_LIFE_MS / 1000}`, "Content-Length": "0" };
  await edge.cache.put(key, new Response("", { headers }));
  return (await edge.cache.match(key)) !== undefined;
}

function put(
  edge: Edge,
  digest: Digest,
  body: Uint8Array<ArrayBuffer> | ReadableStream,
  sizeBytes: number,
): Promise<void> {
  const headers = {
    "Content-Type": OCTET_STREAM,
    // Without it the cache serves no ranges.
    "Content-Length": String(sizeBytes),
    "Cache-Control": `max-age=${COPY_LIFE_SECONDS}`,
  };
  return edge.cache.put(cacheKey.blob(edge.host, digest), new Response(body, { headers }));
}

export function rangeHeader(range: RequestedRange): string {
  if ("suffix" in range) return `bytes=-${range.suffix}`;
  const { offset, length } = range;
  return `bytes=${offset}-${length === undefined ? "" : offset + length - 1}`;
}
