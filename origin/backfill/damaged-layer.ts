// Whether a stored layer is what its digest names, asked when an edge refuses it: sent as it is, it would be
// refused for ever.

import { type Digest, digestHex } from "../../registry/naming/digest.ts";
import type { BlobStore } from "../storage/blob-store.ts";
import { storageKey } from "../storage/keys.ts";
import { sha256Of } from "../storage/stored-hash.ts";

/** True where it was not, and is there no more. */
export async function removeDamaged(
  store: Pick<BlobStore, "sizeBytes" | "lookup" | "open" | "remove">,
  digest: Digest,
): Promise<boolean> {
  const key = storageKey.layer(digest);
  const sizeBytes = await store.sizeBytes(key);
  const hex = sizeBytes === undefined ? undefined : await sha256Of(store, key, sizeBytes);
  if (hex === undefined || hex === digestHex(digest)) return false;
  await store.remove(key);
  return true;
}
