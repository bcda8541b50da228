// What the origin backfills, and asks of what is stored: one switch over the ingest routes, each authenticated before anything
// is read, of its body or of storage. Everything is idempotent, so a replayed or repeated request
// changes nothing.

import { verifyHead } from "../../registry/between/token.ts";
import { readLimited } from "../../registry/http/body.ts";
import { RegistryError } from "../../registry/http/error.ts";
import { parseJson } from "../../registry/http/json.ts";
import type { IngestRoute } from "../../registry/http/route.ts";
import { digestOf } from "../../registry/naming/digest.ts";
import type { Edge } from "../request/edge.ts";
import { completeUpload, putBlob, putPart, startUpload } from "./ingest-blobs.ts";
import {
  ingestLookups,
  ingestManifest,
  ingestPointers,
  ingestRecords,
} from "./ingest-documents.ts";
import { ingestIndexObjects, ingestIndexPatches, ingestIndexRoot } from "./ingest-package-index.ts";
import { removeValues, tellValues } from "./stored-values.ts";

/** A body of records names some hundred layers with their store paths: far below this. */
const MAX_DOCUMENT_BYTES = 16 * 1024 * 1024;
/** A zone's limit on request bodies is 100 MB. */
const MAX_BLOB_BYTES = 95_000_000;

export async function ingest(
  edge: Edge,
  request: Request,
  url: URL,
  route: IngestRoute,
): Promise<Response> {
  if (edge.secretKeys.length === 0) {
    throw new RegistryError("UNAUTHORIZED", "this edge has no secret, so it takes nothing");
  }
  try {
    return await take(edge, request, url, route);
  } catch (cause) {
    if (cause instanceof RegistryError) throw cause;
    // What is left is the storage's: the origin keeps what it sends, and sends it again.
    throw new RegistryError("UNAVAILABLE", "not stored; send it again", { cause });
  }
}

async function take(edge: Edge, request: Request, url: URL, route: IngestRoute): Promise<Response> {
  switch (route.kind) {
    case "blob":
    case "part": {
      // Streamed, so the token binds no body: its digest is in the path, and R2 checks it.
      if ((await authenticate(edge, request, url)) !== undefined) throw refused();
      const sizeBytes = contentLength(request, MAX_BLOB_BYTES);
      const body = request.body ?? new Blob([]).stream();
      return route.kind === "blob"
        ? putBlob(edge, route.digest, body, sizeBytes)
        : putPart(edge, route, body, sizeBytes);
    }
    case "uploads":
      await readDocument(edge, request, url);
      return startUpload(edge, route.digest);
    case "complete":
      return completeUpload(edge, route, parseJson(await readDocument(edge, request, url)));
    case "records":
      return ingestRecords(edge, parseJson(await readDocument(edge, request, url)));
    case "lookups":
      return ingestLookups(edge, parseJson(await readDocument(edge, request, url)));
    case "pointers":
      return ingestPointers(edge, parseJson(await readDocument(edge, request, url)));
    case "index":
      return ingestIndexRoot(edge, await readDocument(edge, request, url));
    case "index-objects":
      return ingestIndexObjects(edge, await readDocument(edge, request, url));
    case "index-patches":
      return ingestIndexPatches(edge, await readDocument(edge, request, url));
    case "values":
      return tellValues(edge, parseJson(await readDocument(edge, request, url)));
    case "removals":
      return removeValues(edge, parseJson(await readDocument(edge, request, url)));
    case "manifest":
      return ingestManifest(edge, route.digest, await readDocument(edge, request, url));
    default:
      return route satisfies never;
  }
}

async function readDocument(edge: Edge, request: Request, url: URL): Promise<Uint8Array> {
  const signedDigest = await authenticate(edge, request, url);
  contentLength(request, MAX_DOCUMENT_BYTES);
  const bytes = await readLimited(request.body, MAX_DOCUMENT_BYTES);
  if (bytes === undefined) throw tooLarge(MAX_DOCUMENT_BYTES);
  if ((await digestOf(bytes)) !== signedDigest) throw refused();
  return bytes;
}

/** The digest that the token binds the body to. */
async function authenticate(edge: Edge, request: Request, url: URL): Promise<unknown> {
  const head = { method: request.method, path: url.pathname };
  const authorization = request.headers.get("Authorization");
  const signed = await verifyHead(edge.secretKeys, "origin", head, authorization, edge.now());
  if (signed === undefined) throw refused();
  return signed.bodyDigest;
}

function refused(): RegistryError {
  return new RegistryError(
    "UNAUTHORIZED",
    "the token is not this edge's origin's for this request",
  );
}

function contentLength(request: Request, maxBytes: number): number {
  const text = request.headers.get("Content-Length") ?? "";
  if (!/^\d{1,15}$/.test(text)) {
    throw new RegistryError("SIZE_INVALID", "a Content-Length is required");
  }
  if (Number(text) > maxBytes) throw tooLarge(maxBytes);
  return Number(text);
}

function tooLarge(maxBytes: number): RegistryError {
  return new RegistryError("SIZE_INVALID", `the body is larger than ${maxBytes} bytes`);
}
