// One bucket of Google Cloud Storage: the only place that talks to it. What Google's library does well,
// uploads, listings and credentials, it does. Objects are read by fetch: the library's read stream is
// four streams in a row, of Node's kind, which warns of leaking listeners.

import { createReadStream } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";
import { CRC32C, type File, IdempotencyStrategy, Storage } from "@google-cloud/storage";
import type { ByteRange } from "../../registry/http/ranges.ts";
import { OCTET_STREAM } from "../../registry/image/media-type.ts";
import type { BlobSigner } from "./blob-links.ts";
import type { StoredValue } from "./blob-store.ts";
import { listedKey, type StorageKey } from "./keys.ts";
import { READ_CHUNK_BYTES } from "./read-file.ts";
import type { BucketConfig } from "./storage.ts";
import { attempt, isRefusal, unless } from "./storage-failed.ts";

export interface StoredObject {
  readonly sizeBytes: number;
  readonly crc32c: string;
  readonly generation: number;
}

/** What is stored, and what is known of it before. */
export interface Content {
  readonly from: Uint8Array | { readonly path: string };
  readonly sizeBytes: number;
  readonly crc32c: string;
}

export interface Bucket {
  /** Fails where it cannot be used, or does not answer. */
  look(): Promise<void>;
  describe(key: StorageKey): Promise<StoredObject | undefined>;
  read(key: StorageKey, range: ByteRange | null): Promise<ReadableStream<Uint8Array> | undefined>;
  readWhole(key: StorageKey): Promise<Uint8Array | undefined>;
  /**
   * Visible whole or not at all: the bucket compares the checksum first. False where another generation
   * is there than named: 0 for none, null for any.
   */
  put(key: StorageKey, content: Content, generation: number | null): Promise<boolean>;
  remove(key: StorageKey): Promise<void>;
  list(prefix: string, after: string, pageSize: number): AsyncIterable<StoredValue>;
  readonly signer: BlobSigner;
  /** Where objects are, without a slash at the end. */
  readonly url: string;
}

const GOOGLE = "https://storage.googleapis.com";
/** Up to here a file travels in one request; above in pieces, each of which is tried again by itself. */
const PIECE_BYTES = 16 * 1024 * 1024;
const MAX_SAID_CHARACTERS = 500;
const TRIES = 3;
const FIRST_RETRY_MS = 250;
/** For the tries of a request together, until its headers are there. */
const ANSWER_DEADLINE_MS = 30_000;
/** A slow but living uplink (1 MB/s) meets it. */
const UPLOAD_DEADLINE_MS_PER_MB = 1000;

/** `signingUrl` is where Google signs for an account without a key, unless a test has its own. */
export function openBucket(
  { name, endpoint }: Pick<BucketConfig, "name" | "endpoint">,
  signingUrl?: string,
): Bucket {
  const apiEndpoint = endpoint ?? GOOGLE;
  // Whose credentials count it finds out by itself: from GOOGLE_APPLICATION_CREDENTIALS on.
  const storage = new Storage({
    apiEndpoint,
    retryOptions: {
      // All that is asked may be asked again: what is stored is the same, and what is created is
      // compared with what is there.
      idempotencyStrategy: IdempotencyStrategy.RetryAlways,
      maxRetries: TRIES - 1,
      totalTimeout: ANSWER_DEADLINE_MS / 1000,
    },
  });
  // The library reads STORAGE_EMULATOR_HOST by itself as well, and leaves out the API's path then.
  storage.baseUrl = `${apiEndpoint}/storage/v1`;
  const bucket = storage.bucket(name);
  const auth = storage.authClient;

  async function ask(url: string, range: ByteRange | null): Promise<Response> {
    const headers = new Headers(endpoint === null ? await auth.getRequestHeaders(url) : {});
    // A coded body would have another length than it says.
    headers.set("Accept-Encoding", "identity");
    if (range !== null) headers.set("Range", `bytes=${range.offset}-${lastByte(range)}`);
    const deadline = new AbortController();
    const timer = setTimeout(() => deadline.abort(), ANSWER_DEADLINE_MS / 2);
    try {
      return await fetch(url, { headers, redirect: "error", signal: deadline.signal });
    } finally {
      // The body then takes what it takes; one that stops for five minutes fetch gives up itself.
      clearTimeout(timer);
    }
  }

  /** Undefined where there is no such object. */
  async function read(key: StorageKey, range: ByteRange | null) {
    const url = `${apiEndpoint}/storage/v1/b/${name}/o/${encodeURIComponent(key)}?alt=media`;
    const response = await again(() => ask(url, range));
    const { status, body } = response;
    if (status === (range === null ? 200 : 206) && body !== null) return body;
    const said = (await response.text()).slice(0, MAX_SAID_CHARACTERS);
    if (status === 404) return undefined;
    throw Object.assign(new Error(`${key}: ${status} ${said}`), { code: status });
  }

  return {
    async look() {
      const one = { maxResults: 1, autoPaginate: false };
      await attempt(ANSWER_DEADLINE_MS, () => bucket.getFiles(one));
    },
    async describe(key) {
      const found = await attempt(ANSWER_DEADLINE_MS, () =>
        unless(404, bucket.file(key).getMetadata()),
      );
      if (found === undefined) return undefined;
      const [{ size, crc32c = "", generation }] = found;
      return { sizeBytes: Number(size), crc32c, generation: Number(generation) };
    },
    read: (key, range) => attempt(ANSWER_DEADLINE_MS, () => read(key, range)),
    readWhole: (key) =>
      attempt(ANSWER_DEADLINE_MS, async () => {
        const body = await read(key, null);
        return body && new Uint8Array(await new Response(body).arrayBuffer());
      }),
    async put(key, { from, sizeBytes, crc32c }, generation) {
      const options = {
        metadata: { contentType: OCTET_STREAM, crc32c },
        // The library's own comparison comes when what is damaged was already to be seen.
        validation: false,
        ...(generation !== null && { preconditionOpts: { ifGenerationMatch: generation } }),
      } as const;
      const inPieces = { resumable: true, chunkSize: PIECE_BYTES } as const;
      const upload = async () => {
        if (from instanceof Uint8Array) {
          await bucket.file(key).save(Buffer.from(from), { ...options, resumable: false });
        } else {
          const way = sizeBytes > PIECE_BYTES ? inPieces : { resumable: false };
          const send = () => bucket.upload(from.path, { ...options, ...way, destination: key });
          // A bucket that has lost the pieces it had is sent all of them again.
          const again = (error: unknown) => (isRefusal(error) ? Promise.reject(error) : send());
          const [{ metadata }] = await send().catch(again);
          if (metadata.crc32c !== crc32c) {
            // Google compares it too, with what it was told at the beginning.
            await bucket.file(key).delete({ ifGenerationMatch: Number(metadata.generation) });
            throw new Error(`${key} arrived as ${metadata.crc32c}, not ${crc32c}`);
          }
        }
        return true;
      };
      const deadlineMs = ANSWER_DEADLINE_MS + (sizeBytes / 1e6) * UPLOAD_DEADLINE_MS_PER_MB;
      return (await attempt(deadlineMs, () => unless(412, upload()))) ?? false;
    },
    async remove(key) {
      const options = { ignoreNotFound: true };
      await attempt(ANSWER_DEADLINE_MS, () => bucket.file(key).delete(options));
    },
    async *list(prefix, after, pageSize) {
      const asked = { prefix, autoPaginate: false, maxResults: pageSize };
      let page: object | null = after === "" ? {} : { startOffset: after };
      while (page !== null) {
        const query: object = { ...asked, ...page };
        const [files, next] = await attempt(ANSWER_DEADLINE_MS, () => bucket.getFiles(query));
        // An offset is the first of what is listed, not what lies before it.
        const values = files.filter((file) => file.name > after).map(storedValue);
        yield* values;
        page = next;
      }
    },
    signer: {
      async account() {
        const { client_email: account } = await auth.getCredentials();
        if (account === undefined) throw new Error("these credentials are no service account's");
        return account;
      },
      sign: (text) => auth.sign(text, signingUrl),
    },
    url: `${apiEndpoint}/${name}`,
  };
}

function storedValue({ name, metadata }: File): StoredValue {
  const { size, timeCreated = "" } = metadata;
  return { key: listedKey(name), sizeBytes: Number(size), storedAtMs: Date.parse(timeCreated) };
}

function lastByte({ offset, length }: ByteRange): number {
  return offset + length - 1;
}

/** In base64, as Google tells it. */
export function checksumOf(bytes: Uint8Array): string {
  const sum = new CRC32C();
  sum.update(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
  return sum.toString();
}

export async function checksumOfFile(path: string): Promise<string> {
  const sum = new CRC32C();
  const chunks = createReadStream(path, { highWaterMark: READ_CHUNK_BYTES });
  for await (const chunk of chunks) sum.update(chunk);
  return sum.toString();
}

/** Asks again where that may help, and gives the last answer. */
async function again(ask: () => Promise<Response>): Promise<Response> {
  for (let tries = 1; ; tries += 1) {
    const answer = await ask().catch((error: unknown) => {
      if (tries === TRIES) throw error;
      return undefined;
    });
    if (answer !== undefined && (tries === TRIES || !isPassing(answer.status))) return answer;
    await answer?.body?.cancel();
    await wait(FIRST_RETRY_MS * 2 ** (tries - 1));
  }
}

function isPassing(status: number): boolean {
  return status === 408 || status === 429 || status >= 500;
}
