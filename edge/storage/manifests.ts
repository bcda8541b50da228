// Manifests by digest: isolate memory, KV, R2. What a tier gives is hashed before anyone gets it, so a
// corrupt copy is removed instead of served.

import { type Digest, digestHex } from "../../registry/naming/digest.ts";
import { type Manifest, verifyManifest } from "../isolate/manifest.ts";
import type { Edge } from "../request/edge.ts";
import type { Tier } from "../request/trace.ts";
import { kvKey, r2Key } from "./keys.ts";
import { attempt, kvThenR2 } from "./tiers.ts";

/**
 * What is under a digest never changes, so one location may keep it for a day. KV keeps a miss as
 * long, which costs a read of R2, where the manifest is found all the same.
 */
const KV_TTL_SECONDS = 86_400;

interface KvMetadata {
  readonly mediaType: string;
  readonly size: number;
}

export interface FoundManifest {
  readonly manifest: Manifest;
  readonly tier: Tier;
}

/** Null where KV has none: R2 has not been asked then, and may have it. */
export async function lookupManifest(
  edge: Edge,
  digest: Digest,
): Promise<FoundManifest | null | undefined> {
  const remembered = edge.memory.lookup(digest);
  if (remembered !== undefined) return { manifest: remembered, tier: "memory" };
  const found = await kvThenR2<FoundManifest>(
    edge,
    () => readKv(edge, digest),
    () => readR2(edge, digest),
  );
  if (found) remember(edge, found);
  return found;
}

/** Where KV had none. */
export async function manifestInR2(edge: Edge, digest: Digest): Promise<FoundManifest | undefined> {
  const found = await attempt(edge, "r2", () => readR2(edge, digest));
  if (found !== undefined) remember(edge, found);
  return found;
}

function remember(edge: Edge, { manifest, tier }: FoundManifest): void {
  edge.memory.store(manifest);
  if (tier === "r2") edge.later("fill kv", () => putInKv(edge, manifest));
}

async function readKv(edge: Edge, digest: Digest): Promise<FoundManifest | null | undefined> {
  const key = kvKey.manifest(digest);
  const { value, metadata } = await edge.kv.getWithMetadata<KvMetadata>(key, {
    type: "arrayBuffer",
    cacheTtl: KV_TTL_SECONDS,
  });
  if (value === null) return null;
  const manifest = await verifyManifest(new Uint8Array(value), digest, metadata?.mediaType);
  if (manifest !== undefined) return { manifest, tier: "kv" };
  edge.log({ level: "error", event: "corrupt manifest removed", tier: "kv", digest });
  edge.later("remove from kv", () => edge.kv.delete(key));
  return undefined;
}

async function readR2(edge: Edge, digest: Digest): Promise<FoundManifest | undefined> {
  const manifest = await storedManifest(edge, digest);
  return manifest && { manifest, tier: "r2" };
}

/** As R2 has it, for whoever takes it for no answer. */
export async function storedManifest(edge: Edge, digest: Digest): Promise<Manifest | undefined> {
  const key = r2Key.manifest(digest);
  const object = await edge.r2.get(key);
  if (object === null) return undefined;
  const manifest = await verifyManifest(
    await object.bytes(),
    digest,
    object.httpMetadata?.contentType,
  );
  if (manifest === undefined) {
    edge.log({ level: "error", event: "corrupt manifest removed", tier: "r2", digest });
    edge.later("remove from r2", () => edge.r2.delete(key));
  }
  return manifest;
}

/** In both, at once: whoever reads one of them finds all blobs there, since those came first. */
export async function storeManifest(edge: Edge, manifest: Manifest): Promise<void> {
  const { digest, mediaType, bytes } = manifest;
  await Promise.all([
    edge.r2.put(r2Key.manifest(digest), bytes, {
      sha256: digestHex(digest),
      httpMetadata: { contentType: mediaType },
    }),
    putInKv(edge, manifest),
  ]);
  edge.memory.store(manifest);
}

function putInKv(edge: Edge, { digest, mediaType, bytes }: Manifest): Promise<void> {
  const metadata: KvMetadata = { mediaType, size: bytes.length };
  return edge.kv.put(kvKey.manifest(digest), bytes, { metadata });
}
