// One stored value, read to its end: whether its bytes are those that were stored, and what they name.

import { createHash } from "node:crypto";
import { type Digest, digestHex } from "../../registry/naming/digest.ts";
import type { StorePath } from "../../registry/naming/store-path.ts";
import type { BlobStore } from "../storage/blob-store.ts";
import type { StorageKey, StoredKey } from "../storage/keys.ts";
import { sha256Of } from "../storage/stored-hash.ts";
import { isWholeSlice, unpackIndexObject } from "../storage/stored-index.ts";
import { hasChecksum } from "../storage/stored-json.ts";
import { type Named, namedBy } from "./named-values.ts";

export type ReadValue =
  | {
      readonly kind: "whole";
      readonly names: readonly Named[];
      readonly outputs: readonly StorePath[];
      /** A change of it would be noticed. */
      readonly isSure: boolean;
    }
  | { readonly kind: "damaged" }
  /** Removed since it was listed. */
  | { readonly kind: "gone" };

/** No document that is stored comes near it. */
const MAX_DOCUMENT_BYTES = 64 << 20;

type Readable = Pick<BlobStore, "lookup" | "open">;

export async function readValue(
  store: Readable,
  key: StorageKey,
  of: StoredKey,
  sizeBytes: number,
): Promise<ReadValue> {
  if (of.collection === "layers") {
    const hex = await sha256Of(store, key, sizeBytes);
    if (hex === undefined) return { kind: "gone" };
    if (hex !== digestHex(of.digest)) return { kind: "damaged" };
    return { kind: "whole", names: [], outputs: [], isSure: true };
  }
  if (sizeBytes > MAX_DOCUMENT_BYTES) return { kind: "damaged" };
  const bytes = await store.lookup(key);
  if (bytes === undefined) return { kind: "gone" };
  if (of.collection === "manifests" && !isOf(of.digest, bytes)) return { kind: "damaged" };
  if (of.collection === "index-objects" || of.collection === "index-slices") {
    const isWhole =
      of.collection === "index-objects"
        ? (await unpackIndexObject(bytes, of.digest)) !== undefined
        : await isWholeSlice(bytes);
    return isWhole ? { kind: "whole", names: [], outputs: [], isSure: true } : { kind: "damaged" };
  }
  const reading = namedBy(key, of, bytes);
  if (reading.kind === "unreadable") return { kind: "damaged" };
  const { names, outputs } = reading;
  return { kind: "whole", names, outputs, isSure: isSure(of, bytes) };
}

function isSure({ collection }: StoredKey, bytes: Uint8Array): boolean {
  switch (collection) {
    case "layers":
    case "manifests":
    // Empty.
    case "pushed":
      return true;
    default:
      return hasChecksum(bytes);
  }
}

function isOf(digest: Digest, bytes: Uint8Array): boolean {
  return createHash("sha256").update(bytes).digest("hex") === digestHex(digest);
}
