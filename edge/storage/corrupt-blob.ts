// A blob that is not what its digest names goes, or it would be found again and again.

import { type Digest, digestOf } from "../../registry/naming/digest.ts";
import type { Edge } from "../request/edge.ts";
import { cacheKey, r2Key } from "./keys.ts";

type BlobTier = "cache" | "r2";

export function removeCorruptBlob(edge: Edge, tier: BlobTier, digest: Digest): void {
  edge.log({ level: "error", event: "corrupt blob removed", tier, digest });
  edge.later(`remove from ${tier}`, () =>
    tier === "cache"
      ? edge.cache.delete(cacheKey.blob(edge.host, digest))
      : edge.r2.delete(r2Key.blob(digest)),
  );
}

/** Whether these bytes are the blob, of which the tier loses what is not. */
export async function isIntact(
  edge: Edge,
  tier: BlobTier,
  digest: Digest,
  bytes: Uint8Array,
): Promise<boolean> {
  if ((await digestOf(bytes)) === digest) return true;
  removeCorruptBlob(edge, tier, digest);
  return false;
}
