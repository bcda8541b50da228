// Parts of a blob out of R2: one in one operation, several in as few as there are large gaps between
// them, each out of the location's cache where that has the blob.

import { cancelBody } from "../../registry/http/body.ts";
import { contentRange, multipartBody } from "../../registry/http/byteranges.ts";
import { hasBody, planBlob } from "../../registry/http/content.ts";
import type { ByteRange, RequestedRange } from "../../registry/http/ranges.ts";
import type { Digest } from "../../registry/naming/digest.ts";
import { fixedLength } from "../origin-client/verified-stream.ts";
import type { Edge } from "../request/edge.ts";
import { cachedBlob, fillCache } from "../storage/blob-cache.ts";
import { r2Key } from "../storage/keys.ts";
import { attempt } from "../storage/tiers.ts";

/**
 * R2 is asked for the range before the size is known, and tells the size with what it gives; the
 * plan made of that is what R2 did. Only a range that cannot be satisfied takes a second operation,
 * for the size that 416 must tell.
 */
export async function rangeFromR2(
  edge: Edge,
  request: Request,
  digest: Digest,
  range: RequestedRange,
): Promise<Response | undefined> {
  const got = await attempt(edge, "r2", () => getRange(edge, digest, range));
  if (!got) return undefined;
  const { object, body } = got;
  const plan = planBlob(request, { digest, sizeBytes: object.size });
  if (plan.range === null) {
    await cancelBody(body);
    edge.trace.hit("r2");
    return new Response(null, plan);
  }
  if (body === null || !isSameRange(object.range, plan.range)) {
    await cancelBody(body);
    edge.log({ level: "warn", event: "r2 gave another range", digest, range: object.range });
    return undefined;
  }
  edge.trace.hit("r2");
  // A part that is asked for once is no reason to read all of a large layer.
  if (edge.fills.isAskedAgain(digest, edge.now())) fillCache(edge, digest, object.size);
  return new Response(body, plan);
}

/**
 * The size is asked for first, since the length of the answer depends on it. Ranges that are answered
 * with the whole are the caller's.
 */
export async function severalParts(
  edge: Edge,
  request: Request,
  digest: Digest,
): Promise<Response | "given whole" | undefined> {
  const object = await attempt(edge, "r2", () => edge.r2.head(r2Key.blob(digest)));
  if (!object) return undefined;
  const { size: sizeBytes } = object;
  const plan = planBlob(request, { digest, sizeBytes, givesSeveral: true });
  if (plan.status === 200) return "given whole";
  edge.trace.hit("r2");
  if (!hasBody(request, plan)) return new Response(null, plan);
  const { range, parts } = plan;
  const open = (part: ByteRange) => openPart(edge, digest, sizeBytes, part);
  const opened = await attempt(edge, "r2", async () => {
    if (parts !== null) return fixedLength(await multipartBody(parts, open), parts.sizeBytes);
    return range && open(range);
  });
  return opened ? new Response(opened, plan) : undefined;
}

/** Exactly that, which is not empty. */
async function openPart(
  edge: Edge,
  digest: Digest,
  sizeBytes: number,
  range: ByteRange,
): Promise<ReadableStream<Uint8Array>> {
  const cached = await cachedBlob(edge, digest, range);
  if (cached?.body && cached.contentRange === contentRange(range, sizeBytes)) return cached.body;
  await cancelBody(cached?.body ?? null);
  const object = await edge.r2.get(r2Key.blob(digest), { range });
  if (object && isSameRange(object.range, range)) return object.body;
  await cancelBody(object?.body ?? null);
  throw new Error(`R2 did not give ${contentRange(range, sizeBytes)}`);
}

interface RangeOfBlob {
  readonly object: R2Object;
  /** Null where R2 did not give the range. */
  readonly body: ReadableStream | null;
}

/** A range that begins past the end is an error of R2, not always the same one: the size decides. */
async function getRange(
  edge: Edge,
  digest: Digest,
  range: RequestedRange,
): Promise<RangeOfBlob | null> {
  const key = r2Key.blob(digest);
  try {
    const object = await edge.r2.get(key, { range });
    return object && { object, body: object.body };
  } catch (cause) {
    edge.log({ level: "info", event: "r2 refused a range", range, cause });
    const object = await edge.r2.head(key);
    return object && { object, body: null };
  }
}

function isSameRange(
  given: R2Range | undefined,
  planned: { readonly offset: number; readonly length: number },
): boolean {
  if (given === undefined || !("offset" in given)) return false;
  return given.offset === planned.offset && given.length === planned.length;
}
