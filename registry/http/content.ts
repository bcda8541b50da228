// How stored bytes are answered: status, headers and range for GET and HEAD alike. What a blob is
// answered with comes of its size and digest alone, so that neither program needs a body to decide.

import { type ManifestType, OCTET_STREAM } from "../image/media-type.ts";
import type { Digest } from "../naming/digest.ts";
import { VARIANT_HEADER } from "./negotiation.ts";
import { PLATFORMS_HEADER } from "./platforms.ts";

/** Content under a digest never changes. `no-transform`: a proxy must not compress or decode it. */
const IMMUTABLE = "public, max-age=31536000, immutable, no-transform";
/**
 * What a tag answers depends on the time and on Accept, which shared caches do not look at; and what
 * nobody has compared with its digest may be anything.
 */
const VOLATILE = "no-store, no-transform";

export interface ByteRange {
  readonly offset: number;
  readonly length: number;
}

export interface ContentPlan {
  readonly status: 200 | 206 | 304 | 412 | 416;
  readonly headers: Headers;
  /** Set exactly with status 206. */
  readonly range: ByteRange | null;
}

export interface Content {
  readonly digest: Digest;
  readonly sizeBytes: number;
}

export interface ManifestContent {
  readonly digest: Digest;
  readonly mediaType: ManifestType;
  readonly bytes: Uint8Array;
}

/** With a manifest by tag: which revision of the package source answered. */
export const PIN_HEADER = "Nixport-Pin";
/** With a manifest by tag: how its layers were made, without which nobody makes the same. */
export const PACKING_HEADER = "Nixport-Packing";

/** The headers that decide which of an image's forms, and for which platforms, a tag's answer is. */
const DECIDING = ["Accept", "User-Agent", VARIANT_HEADER, PLATFORMS_HEADER].join(", ");

/** What of a request decides its answer. */
export type Asking = Pick<Request, "method" | "headers">;

/** A manifest, whole or 304: no client asks for a part of one. Callers add headers of their own. */
export function manifestResponse(
  request: Asking,
  { digest, mediaType, bytes }: ManifestContent,
  by: "tag" | "digest",
): Response {
  const headers = contentHeaders(digest, by === "tag" ? VOLATILE : IMMUTABLE);
  headers.set("ETag", `"${digest}"`);
  if (by === "tag") headers.set("Vary", DECIDING);
  const settled = settledBy(request.headers, digest);
  if (settled !== null) {
    if (settled === 412) tellFailure(headers);
    return new Response(null, { status: settled, headers });
  }
  headers.set("Content-Type", mediaType);
  headers.set("Content-Length", String(bytes.length));
  // Never of shared memory, which is all that the type of a body leaves out.
  const body = request.method === "HEAD" ? null : (bytes as Uint8Array<ArrayBuffer>);
  return new Response(body, { headers });
}

/** A blob, with single ranges (RFC 9110 §14). Several ranges at once are answered in full. */
export function planBlob(request: Asking, { digest, sizeBytes }: Content): ContentPlan {
  const headers = contentHeaders(digest, IMMUTABLE);
  return planContent(request, { headers, version: digest, type: OCTET_STREAM, sizeBytes });
}

/** A small blob of which all is at hand. */
export function bytesResponse(request: Asking, digest: Digest, bytes: Uint8Array): Response {
  const plan = planBlob(request, { digest, sizeBytes: bytes.length });
  if (!hasBody(request, plan)) return new Response(null, plan);
  const { offset, length } = plan.range ?? { offset: 0, length: bytes.length };
  // Never of shared memory, which is all that the type of a body leaves out.
  const part = bytes.subarray(offset, offset + length) as Uint8Array<ArrayBuffer>;
  return new Response(part, plan);
}

/** A plan for bytes that were not compared with their digest: of them no cache may keep a copy. */
export function unverified(plan: ContentPlan): ContentPlan {
  plan.headers.set("Cache-Control", VOLATILE);
  return plan;
}

/** The method stays with either: a blob is only ever asked for by GET and HEAD. */
export type RedirectStatus = 303 | 307;

/** Sends a client elsewhere for a blob, for now: addresses are signed for a while only. */
export function redirectResponse(
  digest: Digest,
  location: string,
  status: RedirectStatus,
): Response {
  const headers = contentHeaders(digest, "no-store");
  headers.set("Location", location);
  headers.set("Content-Length", "0");
  return new Response(null, { status, headers });
}

/** Whether the content follows, or a part of it, and not the headers alone. */
export function hasBody({ method }: Asking, { status }: ContentPlan): boolean {
  return method !== "HEAD" && (status === 200 || status === 206);
}

export interface VersionedContent {
  /** What every answer says, also one without a body. */
  readonly headers: Headers;
  /** What the ETag holds. */
  readonly version: string;
  readonly type: string;
  readonly sizeBytes: number;
}

export function planContent(
  request: Asking,
  { headers, version, type, sizeBytes }: VersionedContent,
): ContentPlan {
  headers.set("ETag", `"${version}"`);
  headers.set("Accept-Ranges", "bytes");
  const settled = settledBy(request.headers, version);
  if (settled !== null) {
    if (settled === 412) tellFailure(headers);
    return { status: settled, headers, range: null };
  }
  const range = resolveRange(requestedRange(request, version), sizeBytes);
  if (range === "unsatisfiable") {
    headers.set("Content-Range", `bytes */${sizeBytes}`);
    tellFailure(headers);
    return { status: 416, headers, range: null };
  }
  headers.set("Content-Type", type);
  headers.set("Content-Length", String(range?.length ?? sizeBytes));
  if (range === null) return { status: 200, headers, range: null };
  const last = range.offset + range.length - 1;
  headers.set("Content-Range", `bytes ${range.offset}-${last}/${sizeBytes}`);
  return { status: 206, headers, range };
}

function contentHeaders(digest: Digest, cacheControl: string): Headers {
  return new Headers({
    "Docker-Content-Digest": digest,
    "Docker-Distribution-API-Version": "registry/2.0",
    "Cache-Control": cacheControl,
    // Layers are bytes to be stored, never a page to be shown.
    "X-Content-Type-Options": "nosniff",
  });
}

/** A body would have to be the registry's JSON, whose codes have no word for it. */
function tellFailure(headers: Headers): void {
  headers.set("Content-Length", "0");
  headers.set("Cache-Control", "no-store");
}

/**
 * What the conditions of a request alone make the answer, whatever the size of the content is: they
 * count in this order, and only If-None-Match takes a weak tag for the same (RFC 9110 §13).
 */
export function settledBy(headers: Headers, version: string): 304 | 412 | null {
  const match = headers.get("If-Match");
  if (match !== null && !entityTags(match).some((tag) => isOf(tag, version))) return 412;
  const noneMatch = headers.get("If-None-Match");
  if (noneMatch === null) return null;
  const known = entityTags(noneMatch).map((tag) => tag.replace(/^W\//, ""));
  return known.some((tag) => isOf(tag, version)) ? 304 : null;
}

function entityTags(list: string): readonly string[] {
  return list.split(",").map((tag) => tag.trim());
}

function isOf(tag: string, version: string): boolean {
  return tag === "*" || tag === `"${version}"`;
}

/** A range as asked for, before the size of the content is known; R2 takes it in this form. */
export type RequestedRange =
  | { readonly offset: number; readonly length?: number }
  | { readonly suffix: number };

/**
 * The one range a request asks for. A syntax error, a foreign unit and several ranges are ignored,
 * as RFC 9110 §14.2 allows, and so is a range under the condition of another version (§13.1.5).
 * Ranges are defined for GET alone: HEAD tells of the whole.
 */
export function requestedRange(
  { method, headers }: Asking,
  version: string,
): RequestedRange | null {
  const header = headers.get("Range");
  if (header === null || method === "HEAD") return null;
  const condition = headers.get("If-Range");
  if (condition !== null && condition !== `"${version}"`) return null;
  const match = /^bytes=[ \t]*(\d*)-(\d*)[ \t]*$/i.exec(header);
  if (match === null) return null;
  const [, first = "", last = ""] = match;
  if (first === "") return last === "" ? null : { suffix: place(last) };
  const offset = place(first);
  if (last === "") return { offset };
  return place(last) < offset ? null : { offset, length: place(last) - offset + 1 };
}

/**
 * Beyond the end of anything, and exact; some clients mean the end by the largest number they know.
 */
const FAR_BEYOND = 2 ** 52;

function place(digits: string): number {
  return Math.min(Number(digits), FAR_BEYOND);
}

function resolveRange(
  range: RequestedRange | null,
  sizeBytes: number,
): ByteRange | "unsatisfiable" | null {
  if (range === null) return null;
  if ("suffix" in range) {
    const length = Math.min(range.suffix, sizeBytes);
    return length === 0 ? "unsatisfiable" : { offset: sizeBytes - length, length };
  }
  const { offset, length = sizeBytes } = range;
  if (offset >= sizeBytes) return "unsatisfiable";
  return { offset, length: Math.min(length, sizeBytes - offset) };
}
