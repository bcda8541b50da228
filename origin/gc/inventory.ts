// All values of a storage with their sizes and times, by a listing; and which of them are no more than
// notes about a layer, which go when it goes.

import * as v from "valibot";
import { digestSchema } from "../../registry/image/record.ts";
import type { Digest } from "../../registry/naming/digest.ts";
import type { BlobStore, StoredValue } from "../storage/blob-store.ts";
import {
  COLLECTIONS,
  type Collection,
  parseStorageKey,
  type StorageKey,
  type StoredKey,
  storageKey,
} from "../storage/keys.ts";
import { overEach } from "../storage/over-each.ts";
import { parseStoredJson } from "../storage/stored-json.ts";

export interface Held extends StoredValue {
  readonly of: StoredKey;
}

/** Some 300 bytes of memory for each value. */
export type Inventory = ReadonlyMap<StorageKey, Held>;

export async function takeInventory(
  store: Pick<BlobStore, "list">,
  signal: AbortSignal,
): Promise<Inventory> {
  const inventory = new Map<StorageKey, Held>();
  for (const collection of COLLECTIONS) {
    for await (const value of store.list(`${collection}/`)) {
      signal.throwIfAborted();
      // What has no key of this version's is not ours to take away.
      const of = parseStorageKey(value.key);
      if (of !== undefined) inventory.set(value.key, { ...value, of });
    }
  }
  return inventory;
}

export function heldIn(inventory: Inventory, collection: Collection): readonly Held[] {
  return [...inventory.values()].filter(({ of }) => of.collection === collection);
}

const buildSchema = v.object({ digest: digestSchema });
const segmentSchema = v.object({ layer: digestSchema });

/** By layer: what is remembered of where it is. Of what leads nowhere the layer is undefined. */
export async function notesOfLayers(
  store: Pick<BlobStore, "lookup">,
  inventory: Inventory,
  signal: AbortSignal,
): Promise<ReadonlyMap<StorageKey | undefined, readonly StorageKey[]>> {
  const notes = new Map<StorageKey | undefined, StorageKey[]>();
  const wanted = [...heldIn(inventory, "builds"), ...heldIn(inventory, "segments")];
  await overEach(wanted, async ({ key, of }) => {
    signal.throwIfAborted();
    const bytes = await store.lookup(key);
    const json = bytes && parseStoredJson(bytes);
    const digest = of.collection === "builds" ? digestIn(buildSchema, json) : layerIn(json);
    const layer = digest && storageKey.layer(digest);
    const known = layer !== undefined && inventory.has(layer) ? layer : undefined;
    const those = notes.get(known) ?? [];
    those.push(key);
    notes.set(known, those);
  });
  return notes;
}

function digestIn(schema: typeof buildSchema, json: unknown): Digest | undefined {
  const parsed = v.safeParse(schema, json);
  return parsed.success ? parsed.output.digest : undefined;
}

function layerIn(json: unknown): Digest | undefined {
  const parsed = v.safeParse(segmentSchema, json);
  return parsed.success ? parsed.output.layer : undefined;
}
