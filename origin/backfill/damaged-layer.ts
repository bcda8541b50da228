// Whether a stored layer is what its digest names, asked when an edge refuses it: sent as it is, it would be
// refused for ever.

import { createHash } from "node:crypto";
import { type Digest, digestHex } from "../../registry/naming/digest.ts";
import type { BlobStore } from "../storage/blob-store.ts";
import { storageKey } from "../storage/keys.ts";

/** True where it was not, and is there no more. */
export async function removeDamaged(
  store: Pick<BlobStore, "open" | "remove">,
  digest: Digest,
): Promise<boolean> {
  const key = storageKey.layer(digest);
  const bytes = await store.open(key, null);
  if (bytes === undefined) return false;
  const hash = createHash("sha256");
  for await (const chunk of bytes) hash.update(chunk);
  if (hash.digest("hex") === digestHex(digest)) return false;
  await store.remove(key);
  return true;
}
