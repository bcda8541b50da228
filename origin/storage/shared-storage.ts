// The storage of origins that share a bucket: what each keeps for itself is in a folder of its own.

import { join } from "node:path";
import { type BlobLinks, publicLinks, signedLinks } from "./blob-links.ts";
import type { BlobStore } from "./blob-store.ts";
import { type Bucket, openBucket } from "./bucket.ts";
import { divideStore } from "./divided.ts";
import { createGcsStore } from "./gcs.ts";
import { openStaging } from "./staging.ts";
import type { BucketConfig, Storage, StorageOptions } from "./storage.ts";
import { StorageProblem, saidOf } from "./storage-failed.ts";

export async function openSharedStorage(
  config: BucketConfig,
  own: BlobStore,
  path: string,
  options: StorageOptions,
): Promise<Storage> {
  const bucket = openBucket(config);
  await bucket.look().catch((error: unknown) => {
    const why = `the bucket ${config.name} cannot be used: ${saidOf(error)}`;
    throw new StorageProblem(why, { cause: error });
  });
  const stagingPath = await openStaging(join(path, "staging"));
  const shared = createGcsStore({ bucket, stagingPath, copiesBytes: config.copiesBytes });
  return { store: divideStore(own, shared), links: linksOf(config, bucket, options) };
}

function linksOf(
  { redirect }: BucketConfig,
  { url: bucketUrl, signer }: Bucket,
  { now, log }: StorageOptions,
): BlobLinks | null {
  const onFailure = (error: unknown) =>
    log.warn({ err: error }, "no address of a blob could be signed: blobs are streamed");
  switch (redirect) {
    case "signed":
      return signedLinks({ bucketUrl, signer, now, onFailure });
    case "public":
      return publicLinks(bucketUrl);
    case "never":
      return null;
    default:
      return redirect satisfies never;
  }
}
