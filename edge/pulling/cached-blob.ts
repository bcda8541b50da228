// A blob, or a part of it, out of the location's own cache.

import { cancelBody, readLimited } from "../../registry/http/body.ts";
import { bytesResponse, type ContentPlan, hasBody, planBlob } from "../../registry/http/content.ts";
import { requestedRange } from "../../registry/http/ranges.ts";
import type { Digest } from "../../registry/naming/digest.ts";
import { measuredStream, verifiedStream } from "../origin-client/verified-stream.ts";
import type { Edge } from "../request/edge.ts";
import { type CachedBlob, cachedBlob } from "../storage/blob-cache.ts";
import { isIntact, removeCorruptBlob } from "../storage/corrupt-blob.ts";
import { attempt } from "../storage/tiers.ts";

/**
 * Views, grounds and configs, the most frequent ones: they are read whole and compared with their digest
 * before anything is answered, so that another tier answers for a copy that is wrong.
 */
export const MAX_READ_WHOLE_BYTES = 256 * 1024;
/**
 * Larger ones are compared on their way, some 0.6 ms of the processor for each MB, and up to this: a
 * request of a free plan has 10 ms. Beyond, a copy is believed, as R2 is of which it was made.
 */
const MAX_COMPARED_BYTES = 8 * 1024 * 1024;

export async function fromCache(
  edge: Edge,
  request: Request,
  digest: Digest,
): Promise<Response | undefined> {
  const cached = await cachedBlob(edge, digest, requestedRange(request, digest));
  if (cached === undefined) return undefined;
  const { sizeBytes, body } = cached;
  if (sizeBytes === undefined || sizeBytes <= MAX_READ_WHOLE_BYTES) {
    return readWhole(edge, request, digest, cached);
  }
  const plan = planBlob(request, { digest, sizeBytes });
  if (!hasBody(request, plan)) {
    await cancelBody(body);
    edge.trace.hit("cache");
    return new Response(null, plan);
  }
  if (body === null || plan.headers.get("Content-Range") !== cached.contentRange) {
    await cancelBody(body);
    const { contentRange } = cached;
    edge.log({ level: "warn", event: "the cache gave another range", digest, contentRange });
    return undefined;
  }
  edge.trace.hit("cache");
  return new Response(checked(edge, digest, sizeBytes, plan, body), plan);
}

function checked(
  edge: Edge,
  digest: Digest,
  sizeBytes: number,
  { range }: ContentPlan,
  body: ReadableStream<Uint8Array>,
): ReadableStream<Uint8Array> {
  const onWrong = () => removeCorruptBlob(edge, "cache", digest);
  if (range === null && sizeBytes <= MAX_COMPARED_BYTES) {
    return verifiedStream(body, { digest, sizeBytes, onWrong });
  }
  // Nobody promises that a copy is whole whose making was cut.
  return measuredStream(body, { sizeBytes: range?.length ?? sizeBytes, onWrong });
}

/** Of the body of a part only the size is wanted. */
async function readWhole(
  edge: Edge,
  request: Request,
  digest: Digest,
  { contentRange, body }: CachedBlob,
): Promise<Response | undefined> {
  let whole = body;
  if (contentRange !== null) {
    await cancelBody(body);
    whole = (await cachedBlob(edge, digest, null))?.body ?? null;
  }
  const bytes = await attempt(edge, "cache", () => readLimited(whole, MAX_READ_WHOLE_BYTES));
  if (bytes === undefined || !(await isIntact(edge, "cache", digest, bytes))) return undefined;
  edge.trace.hit("cache");
  return bytesResponse(request, digest, bytes);
}
