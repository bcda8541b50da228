// What an image needs of the storage: its lookups at its pin, the records that these lead to in its packing,
// their layers; and where it is kept, its manifests and configs. What a value names is told by the check.

import type { ImageSource, PulledImage } from "../../registry/between/pulled-images.ts";
import { canonicalImageOf, canonicalName } from "../../registry/image/canonical.ts";
import {
  type Found,
  isFound,
  outputPathsOf,
  parseFound,
  parseLookup,
} from "../../registry/image/lookup.ts";
import { partsOf } from "../../registry/image/part.ts";
import type { Pin } from "../../registry/naming/pin.ts";
import {
  namesOf,
  type PackageName,
  parseCanonicalRecipe,
  type System,
  systemOf,
} from "../../registry/naming/recipe.ts";
import type { StorePath } from "../../registry/naming/store-path.ts";
import { namedBy } from "../fsck/named-values.ts";
import { MAX_SLOTS, parseSlot } from "../images/asked-names.ts";
import type { BlobStore } from "../storage/blob-store.ts";
import { type StorageKey, storageKey } from "../storage/keys.ts";
import { parseStoredJson } from "../storage/stored-json.ts";
import type { Inventory } from "./inventory.ts";

export interface Needs {
  /** The values that are there and that this one needs, itself included. */
  value(key: StorageKey): Promise<ReadonlySet<StorageKey>>;
  image(image: PulledImage): Promise<ReadonlySet<StorageKey>>;
}

export function createNeeds(store: Pick<BlobStore, "lookup">, inventory: Inventory): Needs {
  // Images share most of what they are made of: everything is read once.
  const named = new Map<StorageKey, Promise<readonly StorageKey[]>>();
  const lookups = new Map<StorageKey, Promise<Found | undefined>>();
  const records = recordsByOutput(inventory);

  async function readNamed(key: StorageKey): Promise<readonly StorageKey[]> {
    const of = inventory.get(key)?.of;
    // Layers are no documents, and lookups are of many pins: whose records they need their images say.
    if (of === undefined || of.collection === "layers" || of.collection === "lookups") return [];
    const bytes = await store.lookup(key);
    const reading = bytes && namedBy(key, of, bytes);
    if (reading?.kind !== "names") return [];
    return reading.names.flatMap((each) => (each.kind === "value" ? each.key : []));
  }

  /** In whatever packing: nothing says in which it was to be had. */
  async function addRecords(key: StorageKey, needed: Set<StorageKey>): Promise<void> {
    const bytes = await store.lookup(key);
    const found = bytes && parseFound(parseStoredJson(bytes));
    for (const output of found === undefined ? [] : outputPathsOf(found)) {
      for (const record of records.get(output) ?? []) await addAll(record, needed);
    }
  }

  async function addAll(key: StorageKey, needed: Set<StorageKey>): Promise<void> {
    if (needed.has(key) || !inventory.has(key)) return;
    needed.add(key);
    const names = named.get(key) ?? readNamed(key);
    named.set(key, names);
    for (const each of await names) await addAll(each, needed);
  }

  async function readFound(pin: Pin, system: System, name: PackageName) {
    const key = storageKey.lookup(pin, system, name);
    const bytes = inventory.has(key) ? await store.lookup(key) : undefined;
    const found = bytes && parseFound(parseStoredJson(bytes));
    if (found !== undefined) return found;
    // What leads to a package by a detour has no lookup for good.
    const slot = await store.lookup(storageKey.asked(pin, system, name, MAX_SLOTS));
    const lookup = slot && parseLookup(parseSlot(slot, name)?.lookup);
    return lookup && isFound(lookup) ? lookup : undefined;
  }

  function lookUp(pin: Pin, system: System, name: PackageName): Promise<Found | undefined> {
    const key = storageKey.lookup(pin, system, name);
    const found = lookups.get(key) ?? readFound(pin, system, name);
    lookups.set(key, found);
    return found;
  }

  async function addImage({ recipe: text, pin, packing }: ImageSource, needed: Set<StorageKey>) {
    const recipe = parseCanonicalRecipe(text);
    if (recipe === undefined) return;
    const system = systemOf(recipe.architecture);
    const asked = await Promise.all(
      namesOf(recipe).map(async (name) => {
        const found = await lookUp(pin, system, name);
        return found === undefined ? [] : [{ name, found }];
      }),
    );
    for (const { name, found } of asked.flat()) {
      for (const each of [name, canonicalName(found)]) {
        await addAll(storageKey.lookup(pin, system, each), needed);
      }
    }
    const { ingredients } = canonicalImageOf(recipe, asked.flat());
    for (const part of partsOf(ingredients)) {
      await addAll(storageKey.record(packing, part), needed);
    }
  }

  return {
    async value(key) {
      const needed = new Set<StorageKey>();
      await addAll(key, needed);
      if (inventory.get(key)?.of.collection === "lookups") await addRecords(key, needed);
      return needed;
    },
    async image({ manifests, of }) {
      const needed = new Set<StorageKey>();
      for (const digest of manifests) await addAll(storageKey.manifest(digest), needed);
      if (of !== null) await addImage(of, needed);
      return needed;
    },
  };
}

/** Of packages with one output, which most are: of others the key does not say it. */
function recordsByOutput(inventory: Inventory): ReadonlyMap<StorePath, readonly StorageKey[]> {
  const records = new Map<StorePath, StorageKey[]>();
  for (const { key, of } of inventory.values()) {
    if (of.collection !== "records" || of.output === null) continue;
    records.set(of.output, [...(records.get(of.output) ?? []), key]);
  }
  return records;
}
