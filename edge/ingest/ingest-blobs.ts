// Takes blobs: in one request, or in parts. R2 compares the digest as it writes, and only what
// matches becomes visible under the digest's key; a large blob is assembled aside first.

import * as v from "valibot";
import { RegistryError } from "../../registry/http/error.ts";
import type { IngestRoute } from "../../registry/http/route.ts";
import { OCTET_STREAM } from "../../registry/image/media-type.ts";
import { type Digest, digestHex } from "../../registry/naming/digest.ts";
import type { Edge } from "../request/edge.ts";
import { r2Key } from "../storage/keys.ts";
import { acceptedResponse, parseBody } from "./ingest-documents.ts";

/**
 * Of all parts but the last, which R2 wants equal and of 5 MiB or more. A lost part is sent again,
 * so it should be short; an upload has 10,000 at most, which makes 320 GB.
 */
const PART_SIZE_BYTES = 32 * 1024 * 1024;

/** R2's codes. */
const BAD_DIGEST = /\(10037\)/;
const UPLOAD_GONE = /\((?:10024|10025)\)/;
const PARTS_WRONG = /\((?:10011|10025|10048)\)/;

const completeSchema = v.object({
  parts: v.pipe(
    v.array(v.object({ partNumber: v.pipe(v.number(), v.integer()), etag: v.string() })),
    v.minLength(1),
    v.maxLength(10_000),
  ),
});

type Part = Extract<IngestRoute, { kind: "part" }>;
type Complete = Extract<IngestRoute, { kind: "complete" }>;

export async function putBlob(
  edge: Edge,
  digest: Digest,
  body: ReadableStream,
  sizeBytes: number,
): Promise<Response> {
  return acceptedResponse((await storeVerified(edge, digest, body, sizeBytes)) ? 201 : 200);
}

export async function startUpload(edge: Edge, digest: Digest): Promise<Response> {
  const name = crypto.randomUUID();
  const { uploadId } = await edge.r2.createMultipartUpload(r2Key.staging(digest, name));
  const body = { uploadId: `${name}.${encode(uploadId)}`, partSizeBytes: PART_SIZE_BYTES };
  return acceptedResponse(201, body);
}

/** R2 itself refuses a short part that is not the last, when the upload is completed. */
export async function putPart(
  edge: Edge,
  { digest, uploadId, partNumber }: Part,
  body: ReadableStream,
  sizeBytes: number,
): Promise<Response> {
  if (sizeBytes === 0) throw new RegistryError("SIZE_INVALID", "a part holds at least a byte");
  const upload = resume(edge, digest, uploadId);
  try {
    const { etag } = await upload.uploadPart(partNumber, sized(body, sizeBytes));
    return acceptedResponse(201, { etag });
  } catch (error) {
    throw matches(error, UPLOAD_GONE) ? uploadUnknown(error) : error;
  }
}

/**
 * Assembled under a key of its own, then copied to the final one through R2's comparison: a multipart
 * object has no sha256 that could be looked at. Nothing is left behind but by a Worker that is ended
 * in between, and nothing ever names that. An upload that is lost is started again.
 */
export async function completeUpload(
  edge: Edge,
  { digest, uploadId }: Complete,
  json: unknown,
): Promise<Response> {
  const { parts } = parseBody(completeSchema, json, "BLOB_UPLOAD_INVALID");
  const upload = resume(edge, digest, uploadId);
  try {
    await upload.complete(parts);
  } catch (error) {
    edge.later("abort upload", () => upload.abort());
    if (matches(error, PARTS_WRONG)) {
      throw new RegistryError("BLOB_UPLOAD_INVALID", "the parts named are not those uploaded", {
        cause: error,
      });
    }
    throw matches(error, UPLOAD_GONE) ? uploadUnknown(error) : error;
  }
  try {
    const staged = await edge.r2.get(upload.key);
    if (staged === null) throw uploadUnknown(undefined);
    return acceptedResponse(
      (await storeVerified(edge, digest, staged.body, staged.size)) ? 201 : 200,
    );
  } finally {
    await edge.r2.delete(upload.key);
  }
}

/** Whether it was stored now; false when it was there already. */
async function storeVerified(
  edge: Edge,
  digest: Digest,
  body: ReadableStream,
  sizeBytes: number,
): Promise<boolean> {
  try {
    const stored = await edge.r2.put(r2Key.blob(digest), sized(body, sizeBytes), {
      sha256: digestHex(digest),
      onlyIf: { etagDoesNotMatch: "*" },
      httpMetadata: { contentType: OCTET_STREAM },
    });
    return stored !== null;
  } catch (error) {
    if (!matches(error, BAD_DIGEST)) throw error;
    throw new RegistryError("DIGEST_INVALID", `these bytes are not ${digest}`, { cause: error });
  }
}

/** R2 takes a stream only when it knows its length. */
function sized(body: ReadableStream, sizeBytes: number): ReadableStream {
  return body.pipeThrough(new FixedLengthStream(sizeBytes));
}

function resume(edge: Edge, digest: Digest, uploadId: string): R2MultipartUpload {
  const [name = "", encoded = ""] = uploadId.split(".");
  const id = /^[0-9a-f-]{36}$/.test(name) ? decode(encoded) : undefined;
  if (id === undefined) throw uploadUnknown(undefined);
  return edge.r2.resumeMultipartUpload(r2Key.staging(digest, name), id);
}

function uploadUnknown(cause: unknown): RegistryError {
  return new RegistryError("BLOB_UPLOAD_UNKNOWN", "no such upload: start it again", { cause });
}

function matches(error: unknown, codes: RegExp): boolean {
  return error instanceof Error && codes.test(error.message);
}

/** R2's upload ids are opaque; in a path they must not hold slashes or dots. */
function encode(text: string): string {
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function decode(text: string): string | undefined {
  if (!/^[A-Za-z0-9_-]{1,2000}$/.test(text)) return undefined;
  try {
    return atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  } catch {
    // Not what `encode` wrote: an upload of nobody's.
    return undefined;
  }
}
