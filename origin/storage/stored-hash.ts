// What the bytes of a stored value hash to, read to their end: by its digest a layer is compared.

import { createHash } from "node:crypto";
import type { BlobStore } from "./blob-store.ts";
import type { StorageKey } from "./keys.ts";

/** Up to this a value is read at once: a stream of a small file costs many times as much. */
const MAX_AT_ONCE_BYTES = 4 << 20;

/** In hex; undefined where there is no such value. */
export async function sha256Of(
  store: Pick<BlobStore, "lookup" | "open">,
  key: StorageKey,
  sizeBytes: number,
): Promise<string | undefined> {
  const hash = createHash("sha256");
  if (sizeBytes <= MAX_AT_ONCE_BYTES) {
    const bytes = await store.lookup(key);
    return bytes && hash.update(bytes).digest("hex");
  }
  const stream = await store.open(key, null);
  if (stream === undefined) return undefined;
  for await (const chunk of stream) hash.update(chunk);
  return hash.digest("hex");
}
