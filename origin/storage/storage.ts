// What a storage is opened by, and what is then there.

import type { BlobLinks } from "./blob-links.ts";
import type { BlobStore } from "./blob-store.ts";

export interface StorageConfig {
  /** A folder of this machine; beside a bucket it holds what is the origin's own. */
  readonly storagePath: string;
  readonly bucket: BucketConfig | null;
}

export interface BucketConfig {
  readonly name: string;
  /** An emulator, which is given no credentials; null: Google. */
  readonly endpoint: string | null;
  /** How clients get blobs: from the bucket by themselves, or through the origin. */
  readonly redirect: "signed" | "public" | "never";
  /** What copies of layers may take on this machine. */
  readonly copiesBytes: number;
}

export interface Storage {
  readonly store: BlobStore;
  /** Null: all blobs are streamed. */
  readonly links: BlobLinks | null;
}

export interface StorageOptions {
  readonly now: () => number;
  readonly log: { warn(facts: object, message: string): void };
}
