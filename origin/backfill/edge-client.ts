// The only caller of the edge's ingest routes: signs, sends, and says what became of it.

import { createHash } from "node:crypto";
import * as v from "valibot";
import type { LookupsBody, PointersBody, RecordsBody } from "../../registry/between/backfill.ts";
import {
  type RemovalsBody,
  type ValuesBody,
  type ValuesPage,
  valuesPageSchema,
} from "../../registry/between/stored-values.ts";
import { type SecretKey, signRequest } from "../../registry/between/token.ts";
import { readLimited } from "../../registry/http/body.ts";
import { parseJson } from "../../registry/http/json.ts";
import type { ByteRange } from "../../registry/http/ranges.ts";
import { ingestPath } from "../../registry/http/route.ts";
import { type Digest, parseDigest } from "../../registry/naming/digest.ts";
import { fetchProblem } from "../words/fetch-problem.ts";

export type PushResult =
  | { readonly kind: "accepted" }
  /** The edge lacks blobs, or objects of an index, that it was believed to have. */
  | { readonly kind: "blobs-missing"; readonly digests: readonly Digest[] }
  | { readonly kind: "refused"; readonly message: string }
  | { readonly kind: "unreachable"; readonly message: string };

export interface BlobToPush {
  readonly digest: Digest;
  readonly sizeBytes: number;
  open(range: ByteRange | null): Promise<ReadableStream<Uint8Array> | undefined>;
}

export interface EdgeClient {
  readonly url: string;
  putBlob(blob: BlobToPush): Promise<PushResult>;
  putManifest(digest: Digest, mediaType: string, bytes: Uint8Array): Promise<PushResult>;
  postRecords(body: RecordsBody): Promise<PushResult>;
  postLookups(body: LookupsBody): Promise<PushResult>;
  postPointers(body: PointersBody): Promise<PushResult>;
  /** Of a package index, as registry/package-index/bodies.ts writes them. */
  postIndexObjects(body: Uint8Array): Promise<PushResult>;
  postIndexPatches(body: Uint8Array): Promise<PushResult>;
  postIndexRoot(body: Uint8Array): Promise<PushResult>;
  /** A page of what it has stored. */
  askValues(body: ValuesBody): Promise<ValuesResult>;
  postRemovals(body: RemovalsBody): Promise<PushResult>;
}

export type ValuesResult =
  | { readonly kind: "page"; readonly page: ValuesPage }
  | { readonly kind: "refused" | "unreachable"; readonly message: string };

export interface EdgeClientOptions {
  readonly url: string;
  readonly secretKeys: readonly SecretKey[];
  readonly now: () => number;
  /** Blobs up to this size travel in one request; a zone's limit on bodies is 100 MB. */
  readonly singlePutMaxBytes?: number;
  readonly signal: AbortSignal;
}

const SINGLE_PUT_MAX_BYTES = 90 * 1024 * 1024;
const MAX_ANSWER_BYTES = 64 * 1024;
/** A page of values, each of which may name some hundred others. */
const MAX_PAGE_BYTES = 16 * 1024 * 1024;
/** What an edge hashes for a page. */
const PAGE_MOVES_BYTES = 64 * 1024 * 1024;
/** A deadline that a slow but living uplink (1 MB/s) still meets. */
const BASE_DEADLINE_MS = 30_000;
const DEADLINE_MS_PER_MB = 1000;

const errorsSchema = v.object({
  errors: v.array(
    v.object({ code: v.string(), message: v.string(), detail: v.optional(v.unknown()) }),
  ),
});
const uploadSchema = v.object({
  uploadId: v.string(),
  partSizeBytes: v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
});
const partSchema = v.object({ etag: v.string() });

interface Expected {
  /** What the edge has to move before it answers, where that is more than the body. */
  readonly movedBytes?: number;
  readonly maxAnswerBytes?: number;
}

type Answer =
  | { readonly kind: "answered"; readonly json: unknown }
  | Exclude<PushResult, { kind: "accepted" }>;

export function createEdgeClient(options: EdgeClientOptions): EdgeClient {
  const singlePutMaxBytes = options.singlePutMaxBytes ?? SINGLE_PUT_MAX_BYTES;

  async function send(
    method: "PUT" | "POST",
    path: string,
    body: Uint8Array | ReadableStream<Uint8Array>,
    sizeBytes: number,
    contentType: string,
    { movedBytes = sizeBytes, maxAnswerBytes = MAX_ANSWER_BYTES }: Expected = {},
  ): Promise<Answer> {
    // The digest of streamed bytes is in the path already, and the edge checks it.
    const bodyDigest = body instanceof Uint8Array ? digestOfBytes(body) : undefined;
    const signed = { method, path: new URL(path, options.url).pathname, bodyDigest };
    const token = await signRequest(options.secretKeys, "origin", signed, options.now());
    const streamed = body instanceof ReadableStream ? closable(body) : undefined;
    const deadlineMs = BASE_DEADLINE_MS + Math.ceil(movedBytes / 1e6) * DEADLINE_MS_PER_MB;
    try {
      const response = await fetch(new URL(path, options.url), {
        method,
        headers: {
          Authorization: `Bearer ${token}`,
          "Content-Type": contentType,
          "Content-Length": String(sizeBytes),
        },
        body: streamed?.stream ?? body,
        // Required by fetch for streamed bodies.
        ...(streamed !== undefined && { duplex: "half" }),
        redirect: "manual",
        signal: AbortSignal.any([options.signal, AbortSignal.timeout(deadlineMs)]),
      } as RequestInit);
      return await readAnswer(response, maxAnswerBytes);
    } catch (error) {
      return { kind: "unreachable", message: fetchProblem(error) };
    } finally {
      await streamed?.close();
    }
  }

  async function sendJson(path: string, body: unknown, expected?: Expected): Promise<Answer> {
    const bytes = Buffer.from(JSON.stringify(body));
    return send("POST", path, bytes, bytes.length, "application/json", expected);
  }

  async function postBytes(path: string, body: Uint8Array): Promise<PushResult> {
    return accepted(await send("POST", path, body, body.length, "application/octet-stream"));
  }

  async function putParts(blob: BlobToPush): Promise<PushResult> {
    const started = await sendJson(ingestPath.uploads(blob.digest), {});
    if (started.kind !== "answered") return started;
    const upload = v.safeParse(uploadSchema, started.json);
    if (!upload.success) return { kind: "refused", message: "the edge named no upload" };
    const { uploadId, partSizeBytes } = upload.output;
    const parts: { partNumber: number; etag: string }[] = [];
    for (let offset = 0; offset < blob.sizeBytes; offset += partSizeBytes) {
      const length = Math.min(partSizeBytes, blob.sizeBytes - offset);
      const body = await blob.open({ offset, length });
      if (body === undefined) return { kind: "refused", message: "the blob is gone" };
      const partNumber = parts.length + 1;
      const path = ingestPath.part(blob.digest, uploadId, partNumber);
      const sent = await send("PUT", path, body, length, "application/octet-stream");
      if (sent.kind !== "answered") return sent;
      const part = v.safeParse(partSchema, sent.json);
      if (!part.success) return { kind: "refused", message: "the edge named no etag of a part" };
      parts.push({ partNumber, etag: part.output.etag });
    }
    // The edge reads all of it back to compare its digest.
    const path = ingestPath.complete(blob.digest, uploadId);
    return accepted(await sendJson(path, { parts }, { movedBytes: blob.sizeBytes }));
  }

  return {
    url: options.url,
    async putBlob(blob) {
      if (blob.sizeBytes > singlePutMaxBytes) return putParts(blob);
      const body = await blob.open(null);
      if (body === undefined) return { kind: "refused", message: `blob ${blob.digest} is gone` };
      const path = ingestPath.blob(blob.digest);
      return accepted(await send("PUT", path, body, blob.sizeBytes, "application/octet-stream"));
    },
    async putManifest(digest, mediaType, bytes) {
      return accepted(
        await send("PUT", ingestPath.manifest(digest), bytes, bytes.length, mediaType),
      );
    },
    async postRecords(body) {
      return accepted(await sendJson(ingestPath.records, body));
    },
    async postLookups(body) {
      return accepted(await sendJson(ingestPath.lookups, body));
    },
    async postPointers(body) {
      return accepted(await sendJson(ingestPath.pointers, body));
    },
    postIndexObjects: (body) => postBytes(ingestPath.indexObjects, body),
    postIndexPatches: (body) => postBytes(ingestPath.indexPatches, body),
    postIndexRoot: (body) => postBytes(ingestPath.index, body),
    async askValues(body) {
      const expected = { movedBytes: PAGE_MOVES_BYTES, maxAnswerBytes: MAX_PAGE_BYTES };
      const answer = await sendJson(ingestPath.values, body, expected);
      if (answer.kind === "blobs-missing") return { kind: "refused", message: "it names blobs" };
      if (answer.kind !== "answered") return answer;
      const parsed = v.safeParse(valuesPageSchema, answer.json);
      return parsed.success
        ? { kind: "page", page: parsed.output }
        : { kind: "refused", message: "the edge told of no values" };
    },
    async postRemovals(body) {
      return accepted(await sendJson(ingestPath.removals, body));
    },
  };
}

/**
 * A stream that can be ended while fetch has it locked: where fetch cannot connect it forgets its
 * body, and the file behind it would stay open.
 */
function closable(source: ReadableStream<Uint8Array>) {
  const reader = source.getReader();
  const stream = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value } = await reader.read();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    cancel: (reason) => reader.cancel(reason),
  });
  // One that cannot be cancelled has failed, and is closed.
  return { stream, close: () => reader.cancel().catch(() => {}) };
}

function accepted(answer: Answer): PushResult {
  return answer.kind === "answered" ? { kind: "accepted" } : answer;
}

async function readAnswer(response: Response, maxBytes: number): Promise<Answer> {
  const bytes = await readLimited(response.body, maxBytes);
  if (bytes === undefined) return { kind: "unreachable", message: "the answer is too long" };
  const text = new TextDecoder().decode(bytes);
  if (response.ok) return { kind: "answered", json: text === "" ? null : parseJson(text) };
  const errors = v.safeParse(errorsSchema, parseJson(text));
  const error = errors.success ? errors.output.errors[0] : undefined;
  if (error?.code === "MANIFEST_BLOB_UNKNOWN") {
    return { kind: "blobs-missing", digests: digestsIn(error.detail) };
  }
  const message = `${response.status} ${error?.message ?? text.slice(0, 200)}`;
  // 5xx, 429 and time-outs of a proxy pass; another 4xx is about this very request.
  const passing = response.status >= 500 || response.status === 429 || response.status === 408;
  return { kind: passing ? "unreachable" : "refused", message };
}

function digestsIn(detail: unknown): readonly Digest[] {
  return Array.isArray(detail)
    ? detail.flatMap((each) => (typeof each === "string" ? (parseDigest(each) ?? []) : []))
    : [];
}

function digestOfBytes(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}
