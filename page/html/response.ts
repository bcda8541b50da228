// How pages and their assets are answered, at the edge and at the origin alike: the headers that keep a
// browser to what is ours, ETags, GET and HEAD.

import { settledBy } from "../../registry/http/content.ts";
import type { RegistryError } from "../../registry/http/error.ts";
import { errorResponse } from "../../registry/http/error.ts";
import { digestOf } from "../../registry/naming/digest.ts";
import { ASSETS, type AssetFiles, type AssetName } from "./assets.ts";
import { errorDocument } from "./error-document.ts";
import type { Html } from "./escape.ts";

/**
 * Scripts, styles and data of this host alone, and none written into a page: whatever gets into one as markup
 * runs nothing and asks nobody.
 */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "worker-src 'self'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join("; ");

const GUARDED = {
  "X-Content-Type-Options": "nosniff",
  "Referrer-Policy": "no-referrer",
  "Cross-Origin-Resource-Policy": "same-origin",
};

/** By which a page says what it may do, and that nobody shows it inside of another. */
const OF_PAGES = {
  ...GUARDED,
  "Content-Security-Policy": CONTENT_SECURITY_POLICY,
  "Cross-Origin-Opener-Policy": "same-origin",
};

const ASKED_AGAIN = "no-cache";
const IMMUTABLE = "public, max-age=31536000, immutable";

export interface PageOptions {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A whole page. It is asked for again with every visit, and not sent again where it is the same. */
export async function pageResponse(
  request: Request,
  page: Html,
  { status = 200, headers: also = {} }: PageOptions = {},
): Promise<Response> {
  const body = new TextEncoder().encode(page.markup);
  const version = (await digestOf(body)).slice(-32);
  const headers = {
    ...OF_PAGES,
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": ASKED_AGAIN,
    ETag: `"${version}"`,
    ...also,
  };
  // A condition is about what there is (RFC 9110 §13.2.1).
  const isKnown = status === 200 && settledBy(request.headers, version) === 304;
  if (isKnown) return new Response(null, { status: 304, headers });
  return new Response(request.method === "HEAD" ? null : body, {
    status,
    headers: { ...headers, "Content-Length": String(body.length) },
  });
}

/** What the registry would say as JSON, for a person. */
export function errorPage(
  request: Request,
  error: RegistryError,
  files: AssetFiles,
): Promise<Response> {
  const { status, headers } = errorResponse(error, "HEAD");
  const kept = ["Allow", "Retry-After", "WWW-Authenticate"].flatMap((name) => {
    const value = headers.get(name);
    return value === null ? [] : [[name, value] as const];
  });
  return pageResponse(request, errorDocument({ status, message: error.message, files }), {
    status,
    headers: { ...Object.fromEntries(kept), "Cache-Control": "no-store" },
  });
}

/** Of a build's file, whose name is of its content. */
export function assetResponse(
  request: Request,
  { name, file, bytes }: { readonly name: AssetName; readonly file: string; readonly bytes: Bytes },
): Response {
  const headers = {
    ...GUARDED,
    "Content-Type": ASSETS[name],
    "Cache-Control": IMMUTABLE,
    ETag: `"${file}"`,
  };
  if (settledBy(request.headers, file) === 304) return new Response(null, { status: 304, headers });
  return new Response(request.method === "HEAD" ? null : bytes, {
    headers: { ...headers, "Content-Length": String(bytes.length) },
  });
}

type Bytes = Uint8Array<ArrayBuffer>;
