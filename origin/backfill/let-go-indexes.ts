// Lets go, of an edge and of this storage, the package indexes that no tag leads to any more: each has some
// thousands of names of its own, and a channel moves every day. Each step begins from what is stored, so what one
// run did not come to the next one does.

import { isYounger } from "../../registry/between/age.ts";
import { indexKey, MAX_REMOVALS_PER_BODY } from "../../registry/between/stored-values.ts";
import type { Digest } from "../../registry/naming/digest.ts";
import { objectsOf } from "../../registry/package-index/bodies.ts";
import type { BlobStore } from "../storage/blob-store.ts";
import { parseStorageKey, storageKey } from "../storage/keys.ts";
import { lookUpIndexRoot } from "../storage/stored-index.ts";
import type { EdgeClient } from "./edge-client.ts";
import { type HeldRoot, keptRoots, revisionsOfTags } from "./kept-indexes.ts";
import { stop } from "./push-outcome.ts";

export interface LettingGo {
  readonly store: Pick<BlobStore, "list" | "lookup" | "sizeBytes" | "remove">;
  /** Null where there is none. */
  readonly edge: Pick<EdgeClient, "url" | "postRemovals"> | null;
  readonly now: () => number;
}

export interface LetGo {
  readonly roots: number;
  readonly objects: number;
}

/** An object that is younger may be of an index whose root comes next. */
const GRACE_MS = 86_400_000;

/** Throws PushStopped where the edge does not do what it is told. */
export async function letGoIndexes(options: LettingGo): Promise<LetGo> {
  const { store } = options;
  const roots = await rootsIn(options);
  const kept = keptRoots(roots, await revisionsOfTags(store));
  const going = roots.filter((root) => !kept.includes(root));
  await removeFromEdge(
    options,
    going.map(({ pin, system }) => indexKey.root(pin, system)),
  );
  for (const { key } of going) await store.remove(key);

  const objects = await unnamedObjects(options, kept);
  const sent: Digest[] = [];
  for (const digest of options.edge === null ? [] : objects) {
    const marker = storageKey.pushed(options.edge?.url ?? "", digest);
    if ((await store.sizeBytes(marker)) === undefined) continue;
    // Believed to be there it would not be sent again.
    await store.remove(marker);
    sent.push(digest);
  }
  await removeFromEdge(options, sent.map(indexKey.object));
  for (const digest of objects) await store.remove(storageKey.indexObject(digest));
  return { roots: going.length, objects: objects.length };
}

async function rootsIn({ store }: LettingGo): Promise<readonly HeldRoot[]> {
  const roots: HeldRoot[] = [];
  for await (const { key, storedAtMs } of store.list("index/")) {
    const of = parseStorageKey(key);
    if (of?.collection === "index") roots.push({ ...of, key, storedAtMs });
  }
  return roots;
}

async function unnamedObjects(
  { store, now }: LettingGo,
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
    if (!isYounger(storedAtMs, now(), GRACE_MS)) unnamed.push(of.digest);
  }
  return unnamed;
}

async function removeFromEdge({ edge }: LettingGo, keys: readonly string[]): Promise<void> {
  if (edge === null) return;
  for (let first = 0; first < keys.length; first += MAX_REMOVALS_PER_BODY) {
    const some = keys.slice(first, first + MAX_REMOVALS_PER_BODY);
    const result = await edge.postRemovals({ store: "kv", keys: some, storedBeforeMs: null });
    if (result.kind === "accepted") continue;
    const reason = "message" in result ? result.message : "the edge removes nothing";
    stop({ kind: "retry", reason });
  }
}
