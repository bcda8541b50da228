// Where bytes are kept. Keys are made in keys.ts and nowhere else; a value is visible whole or not
// at all; a value under a digest never changes.

import type { ByteRange } from "../../registry/http/content.ts";
import type { StorageKey } from "./keys.ts";

export interface BlobStore {
  /** A whole small value: a manifest, a record. Larger ones are opened. */
  lookup(key: StorageKey): Promise<Uint8Array | undefined>;
  sizeBytes(key: StorageKey): Promise<number | undefined>;
  open(key: StorageKey, range: ByteRange | null): Promise<ReadableStream<Uint8Array> | undefined>;
  /** Durable when the promise resolves; replaces what was there. */
  store(key: StorageKey, bytes: Uint8Array): Promise<void>;
  /** As `store`, but what a power cut may take: for what is cheap to find out again. */
  remember(key: StorageKey, bytes: Uint8Array): Promise<void>;
  /** A value as a file of this machine, to be read while it is not removed. */
  localFile(key: StorageKey): Promise<string | undefined>;
  /** A path on the store's own disk to write a large value to, for `storeFile`. */
  stagingPath(): string;
  /** Takes a finished staging file over, which is then gone. Durable when the promise resolves. */
  storeFile(key: StorageKey, stagingPath: string): Promise<void>;
  remove(key: StorageKey): Promise<void>;
  list(prefix: StoragePrefix): Promise<readonly StorageKey[]>;
}

/** The collections that may be listed: those of bounded size. */
export type StoragePrefix = "outbox/" | "pins/";
