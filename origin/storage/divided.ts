// A storage that several origins share, and what each of them keeps for itself on its own disk.

import type { BlobStore } from "./blob-store.ts";
import { isOwn, type StorageKey, type StoragePrefix } from "./keys.ts";

/** Staging files may be of either. */
export function divideStore(own: BlobStore, shared: BlobStore): BlobStore {
  const of = (key: StorageKey | StoragePrefix) => (isOwn(key) ? own : shared);
  return {
    lookup: (key) => of(key).lookup(key),
    sizeBytes: (key) => of(key).sizeBytes(key),
    open: (key, range) => of(key).open(key, range),
    store: (key, bytes) => of(key).store(key, bytes),
    create: (key, bytes) => of(key).create(key, bytes),
    remember: (key, bytes) => of(key).remember(key, bytes),
    localPart: (key, range) => of(key).localPart(key, range),
    stagingPath: own.stagingPath,
    storeFile: (key, path) => of(key).storeFile(key, path),
    remove: (key) => of(key).remove(key),
    list: (prefix, after) => of(prefix).list(prefix, after),
  };
}
