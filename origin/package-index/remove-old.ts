// Takes away the indexes of pins that no tag has any more, with the objects that no other index has: of the
// edge first, for what is gone here nobody tells it of. What was stored within a day stays: it may be of an index
// that is being made, here or at another origin. Each step begins from what is stored, so what one run did not
// come to the next one does.

import { indexKey } from "../../registry/between/stored-values.ts";
import type { Digest } from "../../registry/naming/digest.ts";
import type { Pin } from "../../registry/naming/pin.ts";
import { objectsOf } from "../../registry/package-index/bodies.ts";
import type { BlobStore } from "../storage/blob-store.ts";
import { parseStorageKey, storageKey } from "../storage/keys.ts";
import { lookUpIndexRoot } from "../storage/stored-index.ts";
import { type HeldRoot, keptRoots, revisionsOfTags } from "./kept-indexes.ts";

const DAY_MS = 86_400_000;

export interface RemovingOptions {
  readonly store: Pick<BlobStore, "list" | "lookup" | "sizeBytes" | "remove">;
  /** Pins that tags have here, whether they are stored or not. */
  readonly own: ReadonlySet<Pin>;
  readonly nowMs: number;
  /** Null where there is none. */
  readonly atEdge: AtEdge | null;
}

/** What it has of indexes in KV. */
export interface AtEdge {
  readonly url: string;
  /** What it throws ends the removing. */
  remove(keys: readonly string[]): Promise<void>;
}

export interface Removed {
  readonly roots: number;
  readonly objects: number;
}

export async function removeOld(options: RemovingOptions): Promise<Removed> {
  const { store, own, nowMs, atEdge } = options;
  const roots = await rootsIn(options);
  const ofTags = new Set(keptRoots(roots, await revisionsOfTags(store)));
  const stays = (root: HeldRoot) =>
    ofTags.has(root) || own.has(root.pin) || isRecent(root.storedAtMs, nowMs);
  const kept = roots.filter(stays);
  const going = roots.filter((root) => !stays(root));
  await atEdge?.remove(going.map(({ pin, system }) => indexKey.root(pin, system)));
  for (const { key } of going) await store.remove(key);
  await removeSlices(options, new Set([...own, ...kept.map(({ pin }) => pin)]));
  const objects = await unnamedObjects(options, kept);
  if (atEdge !== null) await removeGiven(options, atEdge, objects);
  for (const digest of objects) await store.remove(storageKey.indexObject(digest));
  return { roots: going.length, objects: objects.length };
}

/** What is stored while this runs is so after `nowMs`, and the clock of a bucket may be ahead. */
function isRecent(storedAtMs: number, nowMs: number): boolean {
  return Math.abs(nowMs - storedAtMs) < DAY_MS;
}

async function rootsIn({ store }: RemovingOptions): Promise<readonly HeldRoot[]> {
  const roots: HeldRoot[] = [];
  for await (const { key, storedAtMs } of store.list("index/")) {
    const of = parseStorageKey(key);
    if (of?.collection === "index") roots.push({ ...of, key, storedAtMs });
  }
  return roots;
}

async function removeSlices(
  { store, nowMs }: RemovingOptions,
  pins: ReadonlySet<Pin>,
): Promise<void> {
  for await (const { key, storedAtMs } of store.list("index-slices/")) {
    const of = parseStorageKey(key);
    if (of?.collection !== "index-slices" || pins.has(of.pin)) continue;
    if (!isRecent(storedAtMs, nowMs)) await store.remove(key);
  }
}

async function unnamedObjects(
  { store, nowMs }: RemovingOptions,
  kept: readonly HeldRoot[],
): Promise<readonly Digest[]> {
  const named = new Set<Digest>();
  for (const { pin, system } of kept) {
    const root = await lookUpIndexRoot(store, pin, system);
    // What it names nobody can say.
    if (root === undefined) return [];
    for (const { digest } of objectsOf(root)) named.add(digest);
  }
  const unnamed: Digest[] = [];
  for await (const { key, storedAtMs } of store.list("index-objects/")) {
    const of = parseStorageKey(key);
    if (of?.collection !== "index-objects" || named.has(of.digest)) continue;
    if (!isRecent(storedAtMs, nowMs)) unnamed.push(of.digest);
  }
  return unnamed;
}

async function removeGiven(
  { store }: RemovingOptions,
  { url, remove }: AtEdge,
  objects: readonly Digest[],
): Promise<void> {
  const given: Digest[] = [];
  for (const digest of objects) {
    const marker = storageKey.pushed(url, digest);
    if ((await store.sizeBytes(marker)) === undefined) continue;
    // Believed to be there it would not be sent again.
    await store.remove(marker);
    given.push(digest);
  }
  await remove(given.map(indexKey.object));
}
