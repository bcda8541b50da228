// Takes away what is not kept, in the order that is the reverse of writing: what names goes before what is
// named, so that a kill at any moment leaves nothing that names what is not there. Each step begins from
// what is stored, so a run that was ended is followed by another, and two at once do no harm.

import type { BlobStore } from "../storage/blob-store.ts";
import { type Collection, parseStorageKey, type StorageKey, storageKey } from "../storage/keys.ts";
import { overEach } from "../storage/over-each.ts";
import type { Held, Inventory } from "./inventory.ts";
import { createNeeds } from "./needs.ts";
import { NAMED, NAMES } from "./order.ts";

export interface SweepOptions {
  readonly store: Pick<BlobStore, "list" | "lookup" | "remember" | "remove">;
  readonly inventory: Inventory;
  readonly kept: ReadonlySet<StorageKey>;
  /** As often as one likes. */
  readonly onSwept: (done: number, of: number) => void;
  readonly signal: AbortSignal;
}

/** What goes, with the values that were kept after all. */
export async function sweep(options: SweepOptions): Promise<ReadonlySet<StorageKey>> {
  const { store, inventory, kept, onSwept, signal } = options;
  const victims = [...inventory.values()].filter(({ key }) => !kept.has(key));
  const gone = new Set<StorageKey>();
  const removeAll = async (those: readonly Held[]) => {
    await overEach(those, async (held) => {
      signal.throwIfAborted();
      if (held.of.collection === "layers") await renewMaking(store, inventory, held);
      await store.remove(held.key);
      gone.add(held.key);
      onSwept(gone.size, victims.length);
    });
  };
  const of = (collection: Collection) =>
    victims.filter((held) => held.of.collection === collection);

  for (const collection of NAMES) {
    for (const group of await namesFirst(options, collection, of(collection))) {
      await removeAll(group);
    }
  }
  const rescued = await rescuedBy(options);
  for (const collection of NAMED) {
    await removeAll(of(collection).filter(({ key }) => !rescued.has(key)));
  }
  return gone;
}

/** An index lies among the manifests that it names. */
async function namesFirst(
  { store, inventory }: SweepOptions,
  collection: Collection,
  victims: readonly Held[],
): Promise<readonly (readonly Held[])[]> {
  if (collection !== "manifests") return [victims];
  const needs = createNeeds(store, inventory);
  const indexes = new Set<Held>();
  await overEach(victims, async (held) => {
    const needed = [...(await needs.value(held.key))];
    const others = needed.filter((key) => key !== held.key);
    if (others.some((key) => inventory.get(key)?.of.collection === "manifests")) indexes.add(held);
  });
  return [[...indexes], victims.filter((held) => !indexes.has(held))];
}

/** What somebody has written meanwhile may name a layer or an object that nobody needed when it was looked at. */
async function rescuedBy({
  store,
  inventory,
  signal,
}: SweepOptions): Promise<ReadonlySet<StorageKey>> {
  const newer = new Map<StorageKey, Held>();
  for (const collection of ["records", "manifests", "index", "outbox"] as const) {
    for await (const value of store.list(`${collection}/`)) {
      signal.throwIfAborted();
      const of = parseStorageKey(value.key);
      const isKnown = inventory.get(value.key)?.storedAtMs === value.storedAtMs;
      if (of !== undefined && !isKnown) newer.set(value.key, { ...value, of });
    }
  }
  const needs = createNeeds(store, new Map([...inventory, ...newer]));
  const rescued = new Set<StorageKey>();
  for (const key of newer.keys()) {
    for (const each of await needs.value(key)) rescued.add(each);
  }
  return rescued;
}

/**
 * So that it outlives its layer by the grace: an origin goes on believing for a while that the layer is
 * there, and makes it again for whoever asks.
 */
async function renewMaking(
  store: SweepOptions["store"],
  inventory: Inventory,
  { of }: Held,
): Promise<void> {
  if (of.collection !== "layers") return;
  const key = storageKey.making(of.digest);
  const bytes = inventory.has(key) ? await store.lookup(key) : undefined;
  if (bytes !== undefined) await store.remember(key, bytes);
}
