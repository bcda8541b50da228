// Does with a bucket what an origin does with it, on one small object of its own, which is removed.

import { randomUUID } from "node:crypto";
import { signedLinks } from "./blob-links.ts";
import { checksumOf, openBucket } from "./bucket.ts";
import { listedKey } from "./keys.ts";
import type { BucketConfig } from "./storage.ts";
import { saidOf } from "./storage-failed.ts";

/** Why it failed, null where it did not; why nothing can be signed, null where it can or need not. */
export interface TriedBucket {
  readonly failure: string | null;
  readonly unsigned: string | null;
}

export async function tryBucket(config: BucketConfig): Promise<TriedBucket> {
  const bucket = openBucket(config);
  const key = listedKey(`staging/doctor-${randomUUID()}`);
  const from = new TextEncoder().encode("written by nixport doctor, which removes it\n");
  const content = { from, sizeBytes: from.length, crc32c: checksumOf(from) };
  try {
    await bucket.look();
    await bucket.put(key, content, 0);
    const read = await bucket.readWhole(key).finally(() => bucket.remove(key));
    if (!Buffer.from(read ?? []).equals(from)) throw new Error("other bytes came than were stored");
  } catch (error) {
    return { failure: saidOf(error), unsigned: null };
  }
  let unsigned: string | null = null;
  const onFailure = (error: unknown) => {
    unsigned = saidOf(error);
  };
  const { signer, url: bucketUrl } = bucket;
  const links = signedLinks({ bucketUrl, signer, now: Date.now, onFailure });
  if (config.redirect === "signed") await links.to(key, "GET");
  return { failure: null, unsigned };
}
