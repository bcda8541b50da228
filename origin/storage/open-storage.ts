// Opens the storage that is configured: a folder, or a bucket with a folder for what is an origin's own.

import type { ReadableStore } from "./blob-store.ts";
import { openFilesystemStore, readFilesystemStore } from "./filesystem.ts";
import type { Storage, StorageConfig, StorageOptions } from "./storage.ts";

/** Throws a StorageProblem where a person must do something first. */
export async function openStorage(
  { storagePath, bucket }: StorageConfig,
  options: StorageOptions,
): Promise<Storage> {
  const own = await openFilesystemStore(storagePath);
  if (bucket === null) return { store: own, links: null };
  // Google's library takes half a second and 35 MB, which a disk has no use for.
  const { openSharedStorage } = await import("./shared-storage.ts");
  return openSharedStorage(bucket, own, storagePath, options);
}

/** For who only looks: of a folder nothing is made, whatever it is missing. */
export async function openForReading(
  config: StorageConfig,
  options: StorageOptions,
): Promise<ReadableStore> {
  if (config.bucket === null) return readFilesystemStore(config.storagePath);
  return (await openStorage(config, options)).store;
}
