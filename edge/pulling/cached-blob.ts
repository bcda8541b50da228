// A blob, or a part of it, out of the location's own cache, and a whole one out of Workers Cache.

import { cancelBody, readLimited } from "../../registry/http/body.ts";
import { bytesResponse, hasBody, planBlob } from "../../registry/http/content.ts";
import { requestedRange } from "../../registry/http/ranges.ts";
import { type Digest, digestOf } from "../../registry/naming/digest.ts";
import { fixedLength, verifiedStream } from "../origin-client/verified-stream.ts";
import type { Edge } from "../request/edge.ts";
import { type CachedBlob, cachedBlob, rangeHeader } from "../storage/blob-cache.ts";
import { removeCorruptBlob } from "../storage/corrupt-blob.ts";
import { cacheKey } from "../storage/keys.ts";
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
  return cached && answerOf(edge, request, digest, cached, locationCopy(edge, digest));
}

function locationCopy(edge: Edge, digest: Digest): CopyOf {
  return {
    tier: "cache",
    hasByte: async (offset) =>
      isByte((await cachedBlob(edge, digest, { offset, length: 1 }))?.body),
    onWrong: () => removeCorruptBlob(edge, "cache", digest),
  };
}

/**
 * The whole out of Workers Cache, or through it out of R2; undefined where that could not be asked.
 * Only what is wrong with a copy is found out here: what R2 has was compared when it came.
 */
export async function fromWorkersCache(
  edge: Edge,
  request: Request,
  digest: Digest,
  cachedBlobs: Pick<Fetcher, "fetch">,
): Promise<Response | "absent" | undefined> {
  const key = cacheKey.shared(edge.host, digest);
  const answer = await attempt(edge, "cache", () => cachedBlobs.fetch(key));
  if (!answer) return undefined;
  if (answer.status !== 200) {
    await cancelBody(answer.body);
    return answer.status === 404 ? "absent" : undefined;
  }
  const tier = answer.headers.get("CF-Cache-Status") === "HIT" ? "cache" : "r2";
  const sizeBytes = Number(answer.headers.get("Content-Length"));
  const onWrong = () => {
    edge.log({ level: "error", event: "corrupt blob removed", tier: "workers cache", digest });
    edge.later("purge", () => cachedBlobs.fetch(key, { method: "DELETE" }));
  };
  const hasByte = async (offset: number) => {
    const headers = { Range: rangeHeader({ offset, length: 1 }) };
    const given = await cachedBlobs.fetch(key, { headers });
    if (given.status === 206) return isByte(given.body);
    // It gives no part where it has no copy any more.
    await cancelBody(given.body);
    return true;
  };
  const copy = { sizeBytes, contentRange: null, body: answer.body };
  return answerOf(edge, request, digest, copy, { tier, hasByte, onWrong });
}

interface CopyOf {
  readonly tier: "cache" | "r2";
  /** Whether the copy gives the byte that is there. */
  readonly hasByte: (offset: number) => Promise<boolean>;
  readonly onWrong: () => void;
}

async function answerOf(
  edge: Edge,
  request: Request,
  digest: Digest,
  cached: CachedBlob,
  of: CopyOf,
): Promise<Response | undefined> {
  const { sizeBytes, body } = cached;
  if (sizeBytes === undefined || sizeBytes <= MAX_READ_WHOLE_BYTES) {
    return readWhole(edge, request, digest, cached, of);
  }
  const plan = planBlob(request, { digest, sizeBytes });
  if (!hasBody(request, plan)) {
    await cancelBody(body);
    edge.trace.hit(of.tier);
    return new Response(null, plan);
  }
  if (body === null || plan.headers.get("Content-Range") !== cached.contentRange) {
    await cancelBody(body);
    const { contentRange } = cached;
    edge.log({ level: "warn", event: "the cache gave another range", digest, contentRange });
    return undefined;
  }
  edge.trace.hit(of.tier);
  const { range } = plan;
  if (range === null && sizeBytes <= MAX_COMPARED_BYTES) {
    const { onWrong } = of;
    return new Response(verifiedStream(body, { digest, sizeBytes, onWrong }), plan);
  }
  lookAtEnd(edge, digest, sizeBytes, of);
  return new Response(fixedLength(body, range?.length ?? sizeBytes), plan);
}

/**
 * Nobody promises that a copy is whole whose making was cut. A client of such a one gets no complete answer,
 * and whether it is one is found out behind the answer, by its last byte.
 */
function lookAtEnd(edge: Edge, digest: Digest, sizeBytes: number, copy: CopyOf): void {
  if (copy.tier !== "cache" || !edge.fills.claimLook(digest, edge.now())) return;
  edge.later("look at a copy", async () => {
    if (!(await copy.hasByte(sizeBytes - 1))) copy.onWrong();
  });
}

/** What fails is none: a copy that cannot be read is of no use. */
async function isByte(body: ReadableStream<Uint8Array> | null | undefined): Promise<boolean> {
  const bytes = await readLimited(body ?? null, 1).catch(() => undefined);
  return bytes?.length === 1;
}

/** Of the body of a part only the size is wanted. */
async function readWhole(
  edge: Edge,
  request: Request,
  digest: Digest,
  { contentRange, body }: CachedBlob,
  { tier, onWrong }: CopyOf,
): Promise<Response | undefined> {
  let whole = body;
  if (contentRange !== null) {
    await cancelBody(body);
    whole = (await cachedBlob(edge, digest, null))?.body ?? null;
  }
  const bytes = await attempt(edge, "cache", () => readLimited(whole, MAX_READ_WHOLE_BYTES));
  if (bytes === undefined) return undefined;
  if ((await digestOf(bytes)) !== digest) {
    onWrong();
    return undefined;
  }
  edge.trace.hit(tier);
  return bytesResponse(request, digest, bytes);
}
