// Where bytes are kept. Keys are made in keys.ts and nowhere else; a value is visible whole or not
// at all; a value under a digest never changes.

import type { ByteRange } from "../../registry/http/ranges.ts";
import type { StorageKey, StoragePrefix } from "./keys.ts";

export interface BlobStore {
  /** A whole small value: a manifest, a record. Larger ones are opened. */
  lookup(key: StorageKey): Promise<Uint8Array | undefined>;
  sizeBytes(key: StorageKey): Promise<number | undefined>;
  open(key: StorageKey, range: ByteRange | null): Promise<ReadableStream<Uint8Array> | undefined>;
  /** Durable when the promise resolves; replaces what was there. */
  store(key: StorageKey, bytes: Uint8Array): Promise<void>;
  /**
   * As `store`, but where something is there that stays. Of all who do so at once, at whatever origin,
   * one is told true: that it stored.
   */
  create(key: StorageKey, bytes: Uint8Array): Promise<boolean>;
  /** As `store`, but what a power cut may take: for what is cheap to find out again. */
  remember(key: StorageKey, bytes: Uint8Array): Promise<void>;
  /**
   * A part of a value, or the whole, in a file of this machine, which may be gone as soon as others are
   * asked for: whoever reads it gets on without.
   */
  localPart(key: StorageKey, range: ByteRange | null): Promise<LocalPart | undefined>;
  /** A path on this machine to write a large value to, for `storeFile`. */
  stagingPath(): string;
  /** Takes a finished staging file over, which is then gone. Durable when the promise resolves. */
  storeFile(key: StorageKey, stagingPath: string): Promise<void>;
  remove(key: StorageKey): Promise<void>;
  /**
   * What a collection holds, in the order of the keys' bytes, whenever each was stored; with `after`
   * what comes behind that key, whether it is there or not. It is read in pages, as it is asked for:
   * what is stored or removed meanwhile is in it or not, all the rest is.
   */
  list(prefix: StoragePrefix, after?: StorageKey): AsyncIterable<StoredValue>;
}

export type ReadableStore = Pick<BlobStore, "lookup" | "sizeBytes" | "open" | "list">;

export interface LocalPart {
  readonly path: string;
  readonly offsetBytes: number;
}

export interface StoredValue {
  readonly key: StorageKey;
  readonly sizeBytes: number;
  /** By the storage's own clock. */
  readonly storedAtMs: number;
}
