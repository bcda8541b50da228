// Blobs by digest: Cache API, R2, what can be composed again, origin. GET is one R2 operation whatever
// the range; HEAD never moves a body. What the origin streams is verified on its way and never written.

import { cancelBody } from "../../registry/http/body.ts";
import {
  hasBody,
  planBlob,
  type RequestedRange,
  requestedRange,
  settledBy,
} from "../../registry/http/content.ts";
import { digestHeaders } from "../../registry/http/platforms.ts";
import type { Route } from "../../registry/http/route.ts";
import { type Digest, digestOf } from "../../registry/naming/digest.ts";
import { canonicalRecipe } from "../../registry/naming/recipe.ts";
import type { Document } from "../isolate/document-memory.ts";
import type { Edge } from "../request/edge.ts";
import { cacheKey, r2Key } from "../storage/keys.ts";
import { attempt } from "../storage/tiers.ts";
import { askedName } from "./by-digest.ts";
import { type AskedName, composeConfig } from "./composed-again.ts";
import { rememberComposed } from "./keeping.ts";
import { serveOriginBlob } from "./origin-blob.ts";

/**
 * Only small blobs go into the location's cache: views, grounds and configs, the most frequent ones,
 * where a far bucket's round trip is nearly the whole answer. They are read whole, so that filling
 * needs no tee(), which would hold a large layer in memory for the slower of two readers, and hashed,
 * as manifests are: what any of these holds must not be what a cache once got wrong.
 */
const MAX_CACHED_BYTES = 256 * 1024;

type BlobRoute = Extract<Route, { kind: "blob" }>;

export async function serveBlob(
  edge: Edge,
  request: Request,
  { repository, recipe, digest }: BlobRoute,
): Promise<Response> {
  const local = fromMemory(edge, request, digest) ?? (await fromStorage(edge, request, digest));
  if (local !== undefined) return local;
  const name = askedName(edge, request.headers, recipe);
  const config = await configAgain(edge, name, digest);
  if (config !== undefined) return documentResponse(request, config);
  const asked = digestHeaders(edge.platforms, name.variant);
  return serveOriginBlob(edge, request, { repository, digest, asked });
}

function fromMemory(edge: Edge, request: Request, digest: Digest): Response | undefined {
  const config = edge.configs.lookup(digest);
  if (config === undefined) return undefined;
  edge.trace.hit("memory");
  return documentResponse(request, config);
}

async function fromStorage(
  edge: Edge,
  request: Request,
  digest: Digest,
): Promise<Response | undefined> {
  if (request.method === "HEAD" || settledBy(request.headers, digest) !== null) {
    return headFromR2(edge, request, digest);
  }
  const range = requestedRange(request, digest);
  if (range !== null) return rangeFromR2(edge, request, digest, range);
  return (await fromCache(edge, request, digest)) ?? (await wholeFromR2(edge, request, digest));
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

function documentResponse(request: Request, { digest, bytes }: Document): Response {
  const plan = planBlob(request, { digest, sizeBytes: bytes.length });
  if (!hasBody(request, plan)) return new Response(null, plan);
  const { offset, length } = plan.range ?? { offset: 0, length: bytes.length };
  // Never of shared memory, which is all that the type of a body leaves out.
  const part = bytes.subarray(offset, offset + length) as Uint8Array<ArrayBuffer>;
  return new Response(part, plan);
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

async function fromCache(
  edge: Edge,
  request: Request,
  digest: Digest,
): Promise<Response | undefined> {
  const key = cacheKey.blob(edge.host, digest);
  const cached = await attempt(edge, "cache", () => edge.cache.match(key));
  if (!cached) return undefined;
  const bytes = await attempt(edge, "cache", () => cached.bytes());
  if (bytes === undefined) return undefined;
  const remove = () => edge.cache.delete(key);
  if (!(await isIntact(edge, "cache", digest, bytes, remove))) return undefined;
  edge.trace.hit("cache");
  return new Response(bytes, planBlob(request, { digest, sizeBytes: bytes.length }));
}

async function wholeFromR2(
  edge: Edge,
  request: Request,
  digest: Digest,
): Promise<Response | undefined> {
  const object = await attempt(edge, "r2", () => edge.r2.get(r2Key.blob(digest)));
  if (!object) return undefined;
  const plan = planBlob(request, { digest, sizeBytes: object.size });
  if (object.size > MAX_CACHED_BYTES) {
    edge.trace.hit("r2");
    return new Response(object.body, plan);
  }
  const bytes = await attempt(edge, "r2", () => object.bytes());
  if (bytes === undefined) return undefined;
  const remove = () => edge.r2.delete(r2Key.blob(digest));
  if (!(await isIntact(edge, "r2", digest, bytes, remove))) return undefined;
  edge.trace.hit("r2");
  edge.later("fill cache", () =>
    edge.cache.put(
      cacheKey.blob(edge.host, digest),
      new Response(bytes, { headers: plan.headers }),
    ),
  );
  return new Response(bytes, plan);
}

/** Removed where it is not, or it would be found again and again. */
async function isIntact(
  edge: Edge,
  tier: "cache" | "r2",
  digest: Digest,
  bytes: Uint8Array,
  remove: () => Promise<unknown>,
): Promise<boolean> {
  if ((await digestOf(bytes)) === digest) return true;
  edge.log({ level: "error", event: "corrupt blob removed", tier, digest });
  edge.later(`remove from ${tier}`, remove);
  return false;
}

/**
 * R2 is asked for the range before the size is known, and tells the size with what it gives; the
 * plan made of that is what R2 did. Only a range that cannot be satisfied takes a second operation,
 * for the size that 416 must tell.
 */
async function rangeFromR2(
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
  return new Response(body, plan);
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
