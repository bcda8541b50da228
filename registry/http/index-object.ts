// How an object of a package index is answered to a page: gzip as it is stored, which every browser unpacks by
// itself, under a digest of what is in it, and so for ever.

import type { Digest } from "../naming/digest.ts";
import { IMMUTABLE, settledBy } from "./content.ts";
import { RegistryError } from "./error.ts";

/** A Worker's runtime compresses by itself unless it is told that this is done. */
type Encoded = ResponseInit & { readonly encodeBody: "manual" };

export function indexObjectResponse(
  request: Pick<Request, "method" | "headers">,
  digest: Digest,
  packed: Uint8Array<ArrayBuffer> | null,
): Response {
  if (packed === null) throw new RegistryError("NAME_UNKNOWN", "no index has this object any more");
  const headers = {
    "Content-Type": "application/octet-stream",
    "Content-Encoding": "gzip",
    "Cache-Control": IMMUTABLE,
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    ETag: `"${digest}"`,
  };
  const isKnown = settledBy(request.headers, digest) === 304;
  if (isKnown) return new Response(null, { status: 304, headers });
  if (request.method === "HEAD") return new Response(null, { headers });
  const encoded: Encoded = { headers, encodeBody: "manual" };
  return new Response(packed, encoded);
}
