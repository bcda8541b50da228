// A package index in KV: a root for each pin and system, and the objects that roots name under the digests
// of what is in them. Whatever cannot be read as it was stored counts as absent.

import { RegistryError } from "../../registry/http/error.ts";
import { type Digest, digestOf } from "../../registry/naming/digest.ts";
import type { Pin } from "../../registry/naming/pin.ts";
import type { System } from "../../registry/naming/recipe.ts";
import { cutBySize, MAX_OBJECT_BYTES } from "../../registry/package-index/bodies.ts";
import { pack, unpack } from "../../registry/package-index/gzip.ts";
import {
  decodeRoot,
  type IndexRoot,
  MAX_ROOT_BYTES,
  parseRoot,
  rootJson,
  type StoredObject,
} from "../../registry/package-index/root.ts";
import type { Edge } from "../request/edge.ts";
import { readDocument, storeDocument } from "./document.ts";
import { kvKey } from "./keys.ts";
import { attempt, attemptKv } from "./tiers.ts";

const MAX_KEYS_PER_READ = 100;
/** KV gives 25 MiB at once, of what is stored: text as it is, or gzip of it. */
const MAX_BYTES_PER_READ = 16 * 1024 * 1024;

/**
 * KV gives several values at once only as text. So what a pull reads many of, shards and roots, is text, and
 * what is read alone, and given to a page as it is, gzip.
 */
export async function storeIndexObject(
  edge: Edge,
  digest: Digest,
  bytes: Uint8Array,
): Promise<void> {
  const stored = isJson(bytes) ? bytes : await pack(bytes);
  await edge.kv.put(kvKey.indexObject(digest), stored);
}

/** A shard is JSON, names and texts begin with a line that says what they are. */
function isJson(bytes: Uint8Array): boolean {
  return bytes[0] === "{".charCodeAt(0);
}

/** As either is stored or sent. */
async function unpackAny(stored: Uint8Array, maxBytes: number): Promise<Uint8Array | undefined> {
  if (isJson(stored)) return stored.length <= maxBytes ? stored : undefined;
  return unpack(stored, maxBytes);
}

/** What is in it; undefined for what is not of this digest. */
export async function unpackObject(
  stored: Uint8Array,
  digest: Digest,
  maxBytes = MAX_OBJECT_BYTES,
): Promise<Uint8Array | undefined> {
  const bytes = await unpackAny(stored, maxBytes);
  return bytes !== undefined && (await digestOf(bytes)) === digest ? bytes : undefined;
}

/** gzip, whatever it is stored as, for who has it out of here; null of what is not there. */
export async function readPackedObject(
  edge: Edge,
  digest: Digest,
): Promise<Uint8Array<ArrayBuffer> | null> {
  const key = kvKey.indexObject(digest);
  const stored = await attempt(edge, "kv", () => edge.kv.get(key, "arrayBuffer"));
  if (stored === undefined) {
    throw new RegistryError("UNAVAILABLE", "the package index cannot be read now; try again");
  }
  if (stored === null) return null;
  const bytes = new Uint8Array(stored);
  return isJson(bytes) ? pack(bytes) : bytes;
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
  const stored = await edge.kv.get(kvKey.indexObject(digest), "arrayBuffer");
  return stored === null ? undefined : unpackObject(new Uint8Array(stored), digest, maxBytes);
}

export async function storeIndexRoot(edge: Edge, root: IndexRoot): Promise<void> {
  await storeDocument(edge, kvKey.index(root.pin, root.system), rootJson(root));
}

export async function readIndexRoot(
  edge: Edge,
  pin: Pin,
  system: System,
): Promise<IndexRoot | undefined> {
  const key = kvKey.index(pin, system);
  const stored = await attemptKv(edge, () => edge.kv.getWithMetadata(key, "text"));
  if (!stored || stored.value === null) return undefined;
  return parseRoot(await readDocument(edge, key, stored.value, stored.metadata));
}

export async function unpackRoot(stored: Uint8Array): Promise<IndexRoot | undefined> {
  const bytes = await unpackAny(stored, MAX_ROOT_BYTES);
  return bytes && decodeRoot(bytes);
}
