// Blobs by digest: the location's cache, R2, what can be composed again, the origin. GET is one R2
// operation whatever the range; HEAD never moves a body. What the origin streams is verified on its way
// and never written.

import {
  bytesResponse,
  planBlob,
  redirectResponse,
  settledBy,
} from "../../registry/http/content.ts";
import { digestHeaders } from "../../registry/http/platforms.ts";
import { requestedRange, requestedRanges } from "../../registry/http/ranges.ts";
import type { Route } from "../../registry/http/route.ts";
import type { Digest } from "../../registry/naming/digest.ts";
import { canonicalRecipe } from "../../registry/naming/recipe.ts";
import type { Document } from "../isolate/document-memory.ts";
import { verifiedStream } from "../origin-client/verified-stream.ts";
import type { Edge } from "../request/edge.ts";
import { cacheSmallBlob, fillCache, isCompared } from "../storage/blob-cache.ts";
import { isIntact, removeCorruptBlob } from "../storage/corrupt-blob.ts";
import { r2Key } from "../storage/keys.ts";
import { attempt } from "../storage/tiers.ts";
import { rangeFromR2, severalParts } from "./blob-ranges.ts";
import { askedName } from "./by-digest.ts";
import { fromCache, fromWorkersCache, MAX_READ_WHOLE_BYTES } from "./cached-blob.ts";
import { type AskedName, composeConfig } from "./composed-again.ts";
import { rememberComposed } from "./keeping.ts";
import { serveOriginBlob } from "./origin-blob.ts";

type BlobRoute = Extract<Route, { kind: "blob" }>;

export async function serveBlob(
  edge: Edge,
  request: Request,
  { repository, recipe, digest }: BlobRoute,
): Promise<Response> {
  const local = fromMemory(edge, request, digest) ?? (await fromStorage(edge, request, digest));
  if (local !== undefined) return local;
  const name = askedName(edge, recipe);
  const config = await configAgain(edge, name, digest);
  if (config !== undefined) return bytesResponse(request, digest, config.bytes);
  const asked = digestHeaders(edge.platforms, name.variant);
  return serveOriginBlob(edge, request, { repository, digest, asked });
}

function fromMemory(edge: Edge, request: Request, digest: Digest): Response | undefined {
  const config = edge.configs.lookup(digest);
  if (config === undefined) return undefined;
  edge.trace.hit("memory");
  return bytesResponse(request, digest, config.bytes);
}

async function fromStorage(
  edge: Edge,
  request: Request,
  digest: Digest,
): Promise<Response | undefined> {
  const ranges = requestedRanges(request, digest);
  if (ranges !== null && ranges.length > 1) {
    const several = await severalParts(edge, request, digest);
    if (several !== "given whole") return several;
  }
  if (edge.blobsUrl !== undefined) {
    const sent = await sendElsewhere(edge, request, digest, edge.blobsUrl);
    if (sent !== "compared here") return sent;
  }
  if (request.method === "HEAD" || settledBy(request.headers, digest) !== null) {
    return headFromR2(edge, request, digest);
  }
  const cached = await fromCache(edge, request, digest);
  if (cached !== undefined) return cached;
  const range = requestedRange(request, digest);
  if (range !== null) return rangeFromR2(edge, request, digest, range);
  if (edge.cachedBlobs !== undefined) {
    const shared = await fromWorkersCache(edge, request, digest, edge.cachedBlobs);
    if (shared !== undefined) return shared === "absent" ? undefined : shared;
  }
  return wholeFromR2(edge, request, digest);
}

/**
 * Not noted as asked for: a config is asked for once with each pull, and kept with its manifest. Until
 * the origin has given all layers of a new image, each of them is looked for here as well; once will do.
 */
async function configAgain(
  edge: Edge,
  name: AskedName,
  digest: Digest,
): Promise<Document | undefined> {
  const what = name.recipes.map(canonicalRecipe).join(" ");
  if (edge.vainTries.has(what, edge.now())) return undefined;
  const composed = await composeConfig(edge, name, digest);
  if (composed === undefined) {
    edge.vainTries.add(what, edge.now());
    return undefined;
  }
  edge.trace.hit("composed");
  rememberComposed(edge, composed);
  return composed.images[0]?.config;
}

/**
 * To the bucket's own address, which has a cache of its own: no blob is put into the location's, and
 * none comes out of it. What R2 has not compared with its digest is not to be had there.
 */
async function sendElsewhere(
  edge: Edge,
  request: Request,
  digest: Digest,
  blobsUrl: string,
): Promise<Response | "compared here" | undefined> {
  const object = await attempt(edge, "r2", () => edge.r2.head(r2Key.blob(digest)));
  if (!object) return undefined;
  if (!isCompared(object, digest)) return "compared here";
  edge.trace.hit("r2");
  const plan = planBlob(request, { digest, sizeBytes: object.size });
  const isContent = plan.status === 200 || plan.status === 206;
  if (!isContent) return new Response(null, plan);
  return redirectResponse(digest, `${blobsUrl}/${r2Key.blob(digest)}`, 307);
}

async function headFromR2(
  edge: Edge,
  request: Request,
  digest: Digest,
): Promise<Response | undefined> {
  const object = await attempt(edge, "r2", () => edge.r2.head(r2Key.blob(digest)));
  if (!object) return undefined;
  edge.trace.hit("r2");
  return new Response(null, planBlob(request, { digest, sizeBytes: object.size }));
}

async function wholeFromR2(
  edge: Edge,
  request: Request,
  digest: Digest,
): Promise<Response | undefined> {
  const object = await attempt(edge, "r2", () => edge.r2.get(r2Key.blob(digest)));
  if (!object) return undefined;
  if (object.size <= MAX_READ_WHOLE_BYTES) return readWhole(edge, request, digest, object);
  edge.trace.hit("r2");
  const plan = planBlob(request, { digest, sizeBytes: object.size });
  if (isCompared(object, digest)) {
    fillCache(edge, digest, object.size);
    return new Response(object.body, plan);
  }
  // Put there by other hands than the edge's.
  const onWrong = () => removeCorruptBlob(edge, "r2", digest);
  const { size: sizeBytes } = object;
  return new Response(verifiedStream(object.body, { digest, sizeBytes, onWrong }), plan);
}

async function readWhole(
  edge: Edge,
  request: Request,
  digest: Digest,
  object: R2ObjectBody,
): Promise<Response | undefined> {
  const bytes = await attempt(edge, "r2", () => object.bytes());
  if (bytes === undefined || !(await isIntact(edge, "r2", digest, bytes))) return undefined;
  edge.trace.hit("r2");
  cacheSmallBlob(edge, digest, bytes);
  return bytesResponse(request, digest, bytes);
}
