// How stored bytes are answered: status, headers and range for GET and HEAD alike. What a blob is
// answered with comes of its size and digest alone, so that neither program needs a body to decide.

import { type ManifestType, OCTET_STREAM } from "../image/media-type.ts";
import type { Digest } from "../naming/digest.ts";
import { contentRange, type Multipart, planMultipart } from "./byteranges.ts";
import { VARIANT_HEADER } from "./negotiation.ts";
import { PLATFORMS_HEADER } from "./platforms.ts";
import { type ByteRange, requestedRanges, resolveRanges } from "./ranges.ts";

/** Content under a digest never changes. `no-transform`: a proxy must not compress or decode it. */
export const IMMUTABLE = "public, max-age=31536000, immutable, no-transform";
/**
 * What a tag answers depends on the time and on Accept, which shared caches do not look at; and what
 * nobody has compared with its digest may be anything.
 */
const VOLATILE = "no-store, no-transform";

export interface ContentPlan {
  readonly status: 200 | 206 | 304 | 412 | 416;
  readonly headers: Headers;
  /** Set exactly with a 206 of one part. */
  readonly range: ByteRange | null;
  /** Set exactly with a 206 of several. */
  readonly parts: Multipart | null;
}

export interface Content {
  readonly digest: Digest;
  readonly sizeBytes: number;
  /** Who cannot give several ranges at once gives the whole for them. */
  readonly givesSeveral?: boolean;
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

/**
 * A manifest, whole or 304: no client asks for a part of one. `also` are headers of the caller's own. All
 * are given at once: in a Worker each call of a Headers object costs as much as the rest of a warm answer.
 */
export function manifestResponse(
  request: Asking,
  { digest, mediaType, bytes }: ManifestContent,
  by: "tag" | "digest",
  also: Readonly<Record<string, string>> = {},
): Response {
  const headers = {
    ...said(digest, by === "tag" ? VOLATILE : IMMUTABLE),
    ETag: `"${digest}"`,
    ...(by === "tag" && { Vary: DECIDING }),
    ...also,
  };
  const settled = settledBy(request.headers, digest);
  if (settled !== null) {
    const failed = new Headers(headers);
    if (settled === 412) tellFailure(failed);
    return new Response(null, { status: settled, headers: failed });
  }
  // Never of shared memory, which is all that the type of a body leaves out.
  const body = request.method === "HEAD" ? null : (bytes as Uint8Array<ArrayBuffer>);
  const length = String(bytes.length);
  return new Response(body, {
    headers: { ...headers, "Content-Type": mediaType, "Content-Length": length },
  });
}

/** A blob, or what ranges ask for of it (RFC 9110 §14). */
export function planBlob(request: Asking, { digest, sizeBytes, ...gives }: Content): ContentPlan {
  const headers = contentHeaders(digest, IMMUTABLE);
  const content = { headers, version: digest, type: OCTET_STREAM, sizeBytes };
  return planContent(request, { ...content, ...gives });
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
  readonly givesSeveral?: boolean;
}

export function planContent(request: Asking, content: VersionedContent): ContentPlan {
  const { headers, version, sizeBytes } = content;
  headers.set("ETag", `"${version}"`);
  headers.set("Accept-Ranges", "bytes");
  const settled = settledBy(request.headers, version);
  if (settled !== null) {
    if (settled === 412) tellFailure(headers);
    return { status: settled, headers, range: null, parts: null };
  }
  const ranges = rangesOf(request, content);
  const [first, ...others] = ranges ?? [];
  if (ranges !== null && first === undefined) {
    headers.set("Content-Range", `bytes */${sizeBytes}`);
    tellFailure(headers);
    return { status: 416, headers, range: null, parts: null };
  }
  if (ranges === null || first === undefined) {
    tellBody(headers, content.type, sizeBytes);
    return { status: 200, headers, range: null, parts: null };
  }
  if (others.length === 0) {
    tellBody(headers, content.type, first.length);
    headers.set("Content-Range", contentRange(first, sizeBytes));
    return { status: 206, headers, range: first, parts: null };
  }
  // No content holds so much of its own hash. A boundary has 70 characters at most (RFC 2046 §5.1.1).
  const boundary = `part-${version.slice(-32)}`;
  const parts = planMultipart(ranges, { ...content, boundary });
  tellBody(headers, parts.contentType, parts.sizeBytes);
  return { status: 206, headers, range: null, parts };
}

function rangesOf(
  request: Asking,
  { version, sizeBytes, givesSeveral = false }: VersionedContent,
): readonly ByteRange[] | null {
  const ranges = requestedRanges(request, version);
  if (ranges === null || (ranges.length > 1 && !givesSeveral)) return null;
  return resolveRanges(ranges, sizeBytes);
}

function tellBody(headers: Headers, type: string, sizeBytes: number): void {
  headers.set("Content-Type", type);
  headers.set("Content-Length", String(sizeBytes));
}

function contentHeaders(digest: Digest, cacheControl: string): Headers {
  return new Headers(said(digest, cacheControl));
}

function said(digest: Digest, cacheControl: string): Readonly<Record<string, string>> {
  return {
    "Docker-Content-Digest": digest,
    "Docker-Distribution-API-Version": "registry/2.0",
    "Cache-Control": cacheControl,
    // Layers are bytes to be stored, never a page to be shown.
    "X-Content-Type-Options": "nosniff",
  };
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
