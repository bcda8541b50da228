// The storage in a bucket of Google Cloud Storage. Large values are written to a file first, as on a
// local disk: their digest is known before they go up, so they go to their place at once, under the
// condition that nothing is there, and nothing in the bucket is ever unfinished.

import { createWriteStream } from "node:fs";
import { rename, rm, stat } from "node:fs/promises";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { ReadableStream as NodeReadableStream } from "node:stream/web";
import type { ByteRange } from "../../registry/http/ranges.ts";
import { recentValues } from "../memory/recent-values.ts";
import type { BlobStore, LocalPart } from "./blob-store.ts";
import { type Bucket, type Content, checksumOf, checksumOfFile } from "./bucket.ts";
import type { StorageKey } from "./keys.ts";
import { createLocalCopies } from "./local-copies.ts";
import { openFile } from "./read-file.ts";
import { StorageFailed } from "./storage-failed.ts";
import { createTurns } from "./turns.ts";

export interface GcsStoreOptions {
  readonly bucket: Bucket;
  /** New paths on this machine. */
  readonly stagingPath: () => string;
  /** What copies of layers may take on this machine. */
  readonly copiesBytes: number;
  readonly now?: () => number;
  /** Of listings; Google gives 1000 at most. */
  readonly pageSize?: number;
}

const PAGE_SIZE = 1000;
/**
 * For so long what was there is taken to be there: every pull of an image that is known asks for it
 * anew, and each question is a round trip. Another origin that removes it does so of what is old.
 */
const SEEN_MS = 60_000;
const MAX_SEEN = 10_000;
/** A smaller part is made again sooner than it has come. */
const MIN_PART_BYTES = 64 * 1024;
/** Each uploads up to 16 MiB from memory; more do not fill a link better. */
const MAX_UPLOADS = 8;
const MAX_DOWNLOADS = 16;
/** Whoever replaces what is damaged may meet another who does so as well. */
const MAX_REPLACING = 3;

export function createGcsStore(options: GcsStoreOptions): BlobStore {
  const { bucket, stagingPath, copiesBytes, pageSize = PAGE_SIZE } = options;
  const now = options.now ?? (() => performance.now());
  const copies = createLocalCopies(copiesBytes);
  const uploads = createTurns(MAX_UPLOADS);
  const downloads = createTurns(MAX_DOWNLOADS);
  const coming = new Map<string, Promise<LocalPart | undefined>>();
  const seen = recentValues<number>(MAX_SEEN);

  /** To where nothing is, or in the place of what is damaged; the same stays as it is. */
  async function place(key: StorageKey, content: Content): Promise<void> {
    for (let tries = 0; tries < MAX_REPLACING; tries += 1) {
      const there = await bucket.describe(key);
      if (there?.sizeBytes === content.sizeBytes && there.crc32c === content.crc32c) return;
      if (await bucket.put(key, content, there?.generation ?? 0)) return;
    }
    throw new StorageFailed("the storage is written to by others");
  }

  async function replace(key: StorageKey, bytes: Uint8Array): Promise<void> {
    await uploads(() => bucket.put(key, contentOf(bytes), null));
    await copies.drop(key);
  }

  async function copyPart(
    key: StorageKey,
    range: ByteRange | null,
  ): Promise<LocalPart | undefined> {
    const path = stagingPath();
    try {
      const body = await bucket.read(key, range);
      if (body === undefined) return undefined;
      await pipeline(Readable.fromWeb(body as NodeReadableStream), createWriteStream(path));
      const { size: sizeBytes } = await stat(path);
      if (range !== null && sizeBytes !== range.length) throw new Error(`${key} is cut short`);
      await copies.keep(key, range, { path, sizeBytes });
      return { path, offsetBytes: 0 };
    } catch {
      // Whatever keeps it from coming, it is made again without.
      await rm(path, { force: true });
      return undefined;
    }
  }

  return {
    lookup: (key) => bucket.readWhole(key),
    sizeBytes: async (key) => (await bucket.describe(key))?.sizeBytes,
    async open(key, range) {
      const copy = copies.find(key, range);
      const place = range && copy && { offset: copy.offsetBytes, length: range.length };
      // A copy may have made room for others by now.
      return (copy && (await openFile(copy.path, place ?? null))) ?? bucket.read(key, range);
    },
    store: replace,
    remember: replace,
    async create(key, bytes) {
      if (now() - (seen.lookup(key) ?? Number.NEGATIVE_INFINITY) < SEEN_MS) return false;
      // Most of what is stored so is there: to ask costs less than to send it.
      const isThere = (await bucket.describe(key)) !== undefined;
      const isCreated = !isThere && (await uploads(() => bucket.put(key, contentOf(bytes), 0)));
      seen.store(key, now());
      return isCreated;
    },
    async localPart(key, range) {
      const copy = copies.find(key, range);
      if (copy !== undefined) return copy;
      if (range !== null && range.length < MIN_PART_BYTES) return undefined;
      const name = `${key}@${range?.offset}+${range?.length}`;
      const part = coming.get(name) ?? downloads(() => copyPart(key, range));
      coming.set(name, part);
      return part.finally(() => coming.delete(name));
    },
    stagingPath,
    async storeFile(key, path) {
      const { size: sizeBytes } = await stat(path);
      const crc32c = await checksumOfFile(path);
      await uploads(() => place(key, { from: { path }, sizeBytes, crc32c }));
      // Who has packed a layer sends it to the edge and joins others from it.
      const kept = stagingPath();
      await rename(path, kept);
      await copies.drop(key);
      await copies.keep(key, null, { path: kept, sizeBytes });
    },
    async remove(key) {
      seen.store(key, Number.NEGATIVE_INFINITY);
      await bucket.remove(key);
      await copies.drop(key);
    },
    list: (prefix, after) => bucket.list(prefix, after ?? "", pageSize),
  };
}

function contentOf(bytes: Uint8Array): Content {
  return { from: bytes, sizeBytes: bytes.length, crc32c: checksumOf(bytes) };
}
