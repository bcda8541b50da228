// A package index in KV: a root for each pin and system, and the objects that roots name under the digests
// of what is in them. Whatever cannot be read as it was stored counts as absent.

import { type Digest, digestOf } from "../../registry/naming/digest.ts";
import type { Pin } from "../../registry/naming/pin.ts";
import type { System } from "../../registry/naming/recipe.ts";
import { cutBySize, MAX_OBJECT_BYTES } from "../../registry/package-index/bodies.ts";
import { pack, unpack } from "../../registry/package-index/gzip.ts";
import {
  decodeRoot,
  encodeRoot,
  type IndexRoot,
  MAX_ROOT_BYTES,
  type StoredObject,
} from "../../registry/package-index/root.ts";
import type { Edge } from "../request/edge.ts";
import { kvKey } from "./keys.ts";

const MAX_KEYS_PER_READ = 100;
/** KV gives 25 MiB at once, of compressed bytes. */
const MAX_BYTES_PER_READ = 16 * 1024 * 1024;

export async function storeIndexObject(
  edge: Edge,
  digest: Digest,
  packed: Uint8Array,
): Promise<void> {
  await edge.kv.put(kvKey.indexObject(digest), packed);
}

/** What is in it; undefined for what is not of this digest. */
export async function unpackObject(
  packed: Uint8Array,
  digest: Digest,
  maxBytes = MAX_OBJECT_BYTES,
): Promise<Uint8Array | undefined> {
  const bytes = await unpack(packed, maxBytes);
  return bytes !== undefined && (await digestOf(bytes)) === digest ? bytes : undefined;
}

/**
 * Which of them are not there. KV itself is asked: a mark beside it in R2 would be there at once, where KV may
 * take a minute, and still be there when KV was emptied. What KV does not show yet the origin sends again.
 */
export async function missingObjects(
  edge: Edge,
  reads: readonly (readonly StoredObject[])[],
): Promise<readonly Digest[]> {
  const missing: Digest[] = [];
  // One after the other: each has as many bytes as a Worker may well hold.
  for (const objects of reads) {
    const keys = objects.map(({ digest }) => kvKey.indexObject(digest));
    const values = await edge.kv.get(keys, "text");
    for (const { digest } of objects) {
      if ((values.get(kvKey.indexObject(digest)) ?? null) === null) missing.push(digest);
    }
  }
  return missing;
}

/** By KV's limits on one bulk read. */
export function bulkReadsOf(
  objects: readonly StoredObject[],
): readonly (readonly StoredObject[])[] {
  return cutBySize(objects, MAX_KEYS_PER_READ, ({ sizeBytes }) => sizeBytes, MAX_BYTES_PER_READ);
}

export async function readIndexObject(
  edge: Edge,
  digest: Digest,
  maxBytes?: number,
): Promise<Uint8Array | undefined> {
  const packed = await edge.kv.get(kvKey.indexObject(digest), "arrayBuffer");
  return packed === null ? undefined : unpackObject(new Uint8Array(packed), digest, maxBytes);
}

export async function storeIndexRoot(edge: Edge, root: IndexRoot): Promise<void> {
  await edge.kv.put(kvKey.index(root.pin, root.system), await pack(encodeRoot(root)));
}

export async function readIndexRoot(
  edge: Edge,
  pin: Pin,
  system: System,
): Promise<IndexRoot | undefined> {
  const packed = await edge.kv.get(kvKey.index(pin, system), "arrayBuffer");
  return packed === null ? undefined : unpackRoot(new Uint8Array(packed));
}

export async function unpackRoot(packed: Uint8Array): Promise<IndexRoot | undefined> {
  const bytes = await unpack(packed, MAX_ROOT_BYTES);
  return bytes && decodeRoot(bytes);
}
