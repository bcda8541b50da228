// An entrypoint of the Worker that Workers Cache may stand before: whole blobs out of R2 and nothing else,
// by digest alone. Only the main entrypoint reaches it, which has looked at all the rest by then, and
// which asks for no part and by no HEAD: either would have the whole read first.

import { planBlob } from "../registry/http/content.ts";
import { parseDigest } from "../registry/naming/digest.ts";
import { isCompared } from "./storage/blob-cache.ts";
import { r2Key } from "./storage/keys.ts";

const NOT_KEPT = { "Cache-Control": "no-store" };

export async function serveCachedBlob(
  request: Request,
  bucket: R2Bucket,
  cache: CacheContext | undefined,
): Promise<Response> {
  const digest = parseDigest(new URL(request.url).searchParams.get("digest") ?? "");
  if (digest === undefined) return new Response(null, { status: 400, headers: NOT_KEPT });
  // A copy that was found to be wrong goes. What is no GET comes here past the cache.
  if (request.method === "DELETE") {
    await cache?.purge({ tags: [digest] });
    return new Response(null, { status: 204, headers: NOT_KEPT });
  }
  const object = await bucket.get(r2Key.blob(digest));
  if (object === null) return new Response(null, { status: 404, headers: NOT_KEPT });
  const asked = { method: "GET", headers: new Headers() };
  const plan = planBlob(asked, { digest, sizeBytes: object.size });
  plan.headers.set("Cache-Tag", digest);
  if (!isCompared(object, digest)) plan.headers.set("Cache-Control", "no-store");
  return new Response(object.body, plan);
}
