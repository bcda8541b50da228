// Whether blobs are in R2, asked with bounded concurrency: a Worker has six connections at a time.

import { RegistryError } from "../../registry/http/error.ts";
import type { Digest } from "../../registry/naming/digest.ts";
import type { Edge } from "../request/edge.ts";
import { r2Key } from "../storage/keys.ts";

const MAX_CONCURRENT = 6;

export async function overEach<Item>(
  items: readonly Item[],
  work: (item: Item) => Promise<unknown>,
): Promise<void> {
  const queue = items.values();
  const worker = async () => {
    for (const item of queue) await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(MAX_CONCURRENT, items.length) }, worker));
}

export async function missingKeys(edge: Edge, keys: readonly string[]): Promise<readonly string[]> {
  const missing: string[] = [];
  await overEach(keys, async (key) => {
    if ((await edge.r2.head(key)) === null) missing.push(key);
  });
  return missing;
}

interface Content {
  readonly digest: Digest;
  /** Null where nobody says: R2 took no other bytes than the digest's. */
  readonly sizeBytes: number | null;
}

/** A longer detail would be left out of the answer; the origin is told the rest at its next try. */
const MAX_NAMED = 500;

/** Throws MANIFEST_BLOB_UNKNOWN with digests that are not stored in the size told. */
export function requireBlobs(edge: Edge, blobs: readonly Content[]): Promise<void> {
  return requireStored(edge, blobs, r2Key.blob, "blobs");
}

/** The same for the manifests that an index names. */
export function requireManifests(edge: Edge, manifests: readonly Content[]): Promise<void> {
  return requireStored(edge, manifests, r2Key.manifest, "manifests");
}

async function requireStored(
  edge: Edge,
  contents: readonly Content[],
  keyOf: (digest: Digest) => string,
  what: string,
): Promise<void> {
  const sizes = new Map(contents.map(({ digest, sizeBytes }) => [digest, sizeBytes]));
  const missing: Digest[] = [];
  await overEach([...sizes], async ([digest, sizeBytes]) => {
    const object = await edge.r2.head(keyOf(digest));
    if (object === null || (sizeBytes !== null && object.size !== sizeBytes)) missing.push(digest);
  });
  refuseLacking(missing, `${what} are not stored here`);
}

/** Throws MANIFEST_BLOB_UNKNOWN with them, if there are any. */
export function refuseLacking(lacking: readonly Digest[], why: string): void {
  if (lacking.length === 0) return;
  throw new RegistryError("MANIFEST_BLOB_UNKNOWN", `${lacking.length} ${why}`, {
    detail: lacking.toSorted().slice(0, MAX_NAMED),
  });
}
