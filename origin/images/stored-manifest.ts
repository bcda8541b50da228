// A manifest or an index out of the storage: what is no longer what its digest says is removed instead of
// given to anyone, so that it is composed again.

import { type Digest, digestOf } from "../../registry/naming/digest.ts";
import type { BlobStore } from "../storage/blob-store.ts";
import { storageKey } from "../storage/keys.ts";

export async function storedManifest(
  store: Pick<BlobStore, "lookup" | "remove">,
  digest: Digest,
): Promise<Uint8Array | undefined> {
  const key = storageKey.manifest(digest);
  const bytes = await store.lookup(key);
  if (bytes === undefined || (await digestOf(bytes)) === digest) return bytes;
  await store.remove(key);
  return undefined;
}
