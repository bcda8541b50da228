// Gives the edge a package index: objects that it lacks, then the root. Of an object that it has in an earlier
// state it is sent what changed, and what it cannot make of that, whole.

import type { Digest } from "../../registry/naming/digest.ts";
import {
  cutBySize,
  encodeObjects,
  encodePatches,
  MAX_OBJECTS_PER_BODY,
  MAX_PATCHED_BYTES,
  MAX_PATCHES_PER_BODY,
  objectsOf,
  type PackedObject,
} from "../../registry/package-index/bodies.ts";
import { pack } from "../../registry/package-index/gzip.ts";
import {
  type IndexPatch,
  type ObjectKind,
  patchBetween,
  patchJson,
} from "../../registry/package-index/patch.ts";
import {
  encodeRoot,
  type IndexRoot,
  type StoredObject,
  shardFor,
} from "../../registry/package-index/root.ts";
import type { Log } from "../log/log.ts";
import type { BlobStore } from "../storage/blob-store.ts";
import { parseStorageKey, storageKey } from "../storage/keys.ts";
import { lookUpIndexObject, lookUpIndexRoot, unpackIndexObject } from "../storage/stored-index.ts";
import type { EdgeClient, PushResult } from "./edge-client.ts";
import type { PackageIndexEntry } from "./entry.ts";
import { stop } from "./push-outcome.ts";

export interface IndexPusher {
  readonly store: BlobStore;
  readonly edge: Pick<
    EdgeClient,
    "url" | "postIndexObjects" | "postIndexPatches" | "postIndexRoot"
  >;
  readonly log: Pick<Log, "debug">;
}

/** Roots that are looked at for the one that the new index has most of. */
const MAX_BASES = 16;

/** How many objects had to be sent. Throws PushStopped. */
export async function pushPackageIndex(
  pusher: IndexPusher,
  { pin, packageIndex: { system } }: PackageIndexEntry,
): Promise<number> {
  const { store, edge, log } = pusher;
  const key = storageKey.index(pin, system);
  const root = await lookUpIndexRoot(store, pin, system);
  if (root === undefined) return stop({ kind: "dropped", reason: `${key} is gone` });
  const unsent: Digest[] = [];
  for (const { digest } of objectsOf(root)) {
    if (!(await isAtEdge(pusher, digest))) unsent.push(digest);
  }
  const base = unsent.length === 0 ? undefined : await baseOf(pusher, root);
  const patches = base === undefined ? [] : await patchesFrom(pusher, base, root, unsent);
  const made = await sendPatches(pusher, patches);
  const whole = unsent.filter((digest) => !made.has(digest));
  await sendWhole(pusher, whole);
  const lacking = await taken(pusher, edge.postIndexRoot(await pack(encodeRoot(root))));
  if (lacking.length > 0) {
    stop({ kind: "retry", reason: `the edge lacks ${lacking.length} objects of the index` });
  }
  log.debug({ pin, system, patched: made.size, whole: whole.length }, "package index sent");
  return unsent.length;
}

async function isAtEdge({ store, edge }: IndexPusher, digest: Digest): Promise<boolean> {
  return (await store.sizeBytes(storageKey.pushed(edge.url, digest))) !== undefined;
}

/** The stored index of that system that has most in common with it. */
async function baseOf(
  { store }: IndexPusher,
  { pin, system, shards }: IndexRoot,
): Promise<IndexRoot | undefined> {
  const stored: { readonly of: { pin: IndexRoot["pin"] }; readonly storedAtMs: number }[] = [];
  for await (const { key, storedAtMs } of store.list("index/")) {
    const of = parseStorageKey(key);
    if (of?.collection !== "index" || of.system !== system || of.pin === pin) continue;
    stored.push({ of, storedAtMs });
  }
  stored.sort((a, b) => b.storedAtMs - a.storedAtMs);
  const wanted = new Set(shards.map(({ digest }) => digest));
  let best: { readonly root: IndexRoot; readonly common: number } | undefined;
  for (const { of } of stored.slice(0, MAX_BASES)) {
    const root = await lookUpIndexRoot(store, of.pin, system);
    if (root === undefined) continue;
    const common = root.shards.filter(({ digest }) => wanted.has(digest)).length;
    if (best === undefined || common > best.common) best = { root, common };
  }
  return best?.root;
}

/** Of those objects that are shorter so. */
async function patchesFrom(
  pusher: IndexPusher,
  base: IndexRoot,
  root: IndexRoot,
  unsent: readonly Digest[],
): Promise<readonly IndexPatch[]> {
  const wanted = new Set(unsent);
  const pairs: (readonly [ObjectKind, StoredObject | undefined, StoredObject])[] = [
    ...root.shards.map((shard) => ["shard", shardFor(base, shard.from), shard] as const),
    ["names", base.names, root.names],
    ["texts", base.texts, root.texts],
  ];
  const patches: IndexPatch[] = [];
  for (const [kind, earlier, next] of pairs) {
    const isSmall = [earlier, next].every((each) => (each?.sizeBytes ?? 0) <= MAX_PATCHED_BYTES);
    if (earlier === undefined || !isSmall || !wanted.delete(next.digest)) continue;
    const patch = await patchOf(pusher, kind, earlier.digest, next.digest);
    if (patch !== undefined) patches.push(patch);
  }
  return patches;
}

async function patchOf(
  pusher: IndexPusher,
  kind: ObjectKind,
  base: Digest,
  digest: Digest,
): Promise<IndexPatch | undefined> {
  const { store } = pusher;
  if (!(await isAtEdge(pusher, base))) return undefined;
  const [from, to] = await Promise.all([
    lookUpIndexObject(store, base),
    lookUpIndexObject(store, digest),
  ]);
  if (from === undefined || to === undefined) return undefined;
  const patch = patchBetween({ kind, digest: base, bytes: from }, { kind, digest, bytes: to });
  const packed = await pack(Buffer.from(JSON.stringify(patchJson(patch))));
  const wholeBytes = (await store.sizeBytes(storageKey.indexObject(digest))) ?? 0;
  return packed.length < wholeBytes ? patch : undefined;
}

/** What the edge has made of them. */
async function sendPatches(
  pusher: IndexPusher,
  patches: readonly IndexPatch[],
): Promise<ReadonlySet<Digest>> {
  const made = new Set<Digest>();
  const sizeOf = (patch: IndexPatch) => JSON.stringify(patchJson(patch)).length;
  for (const some of cutBySize(patches, MAX_PATCHES_PER_BODY, sizeOf)) {
    const body = await encodePatches(some);
    const lacking = new Set(await taken(pusher, pusher.edge.postIndexPatches(body)));
    for (const { digest } of some) {
      if (lacking.has(digest)) continue;
      made.add(digest);
      await remember(pusher, digest);
    }
  }
  return made;
}

async function sendWhole(pusher: IndexPusher, digests: readonly Digest[]): Promise<void> {
  const { store, edge } = pusher;
  const sized = await Promise.all(
    digests.map(async (digest) => ({
      digest,
      sizeBytes: (await store.sizeBytes(storageKey.indexObject(digest))) ?? 0,
    })),
  );
  for (const some of cutBySize(sized, MAX_OBJECTS_PER_BODY, ({ sizeBytes }) => sizeBytes)) {
    const objects = await Promise.all(some.map(({ digest }) => packedObject(pusher, digest)));
    await taken(pusher, edge.postIndexObjects(encodeObjects(objects)));
    for (const { digest } of some) await remember(pusher, digest);
  }
}

/** One that is damaged would be refused for ever. */
async function packedObject({ store }: IndexPusher, digest: Digest): Promise<PackedObject> {
  const key = storageKey.indexObject(digest);
  const packed = await store.lookup(key);
  if (packed === undefined || (await unpackIndexObject(packed, digest)) === undefined) {
    return stop({ kind: "dropped", reason: `${key} is gone` });
  }
  return { digest, packed };
}

async function remember({ store, edge }: IndexPusher, digest: Digest): Promise<void> {
  await store.remember(storageKey.pushed(edge.url, digest), new Uint8Array());
}

/** What the edge says it lacks, which is then no longer believed to be there. */
async function taken(
  { store, edge }: IndexPusher,
  pushing: Promise<PushResult>,
): Promise<readonly Digest[]> {
  const result = await pushing;
  switch (result.kind) {
    case "accepted":
      return [];
    case "blobs-missing":
      for (const digest of result.digests) {
        await store.remove(storageKey.pushed(edge.url, digest));
      }
      return result.digests;
    case "refused":
    case "unreachable":
      return stop({ kind: "retry", reason: result.message });
    default:
      return result satisfies never;
  }
}
