// Takes away the indexes of pins that no tag has any more, with the objects that no other index has. The
// last of them stays for each system: from it the edge is told what is new. So does what was stored within a
// day: it may be of an index that is being made, here or at another origin.

import { isYounger } from "../../registry/between/age.ts";
import { digestHex } from "../../registry/naming/digest.ts";
import { configuredPin, type Pin } from "../../registry/naming/pin.ts";
import type { System } from "../../registry/naming/recipe.ts";
import { objectsOf } from "../../registry/package-index/bodies.ts";
import { parseRoot } from "../../registry/package-index/root.ts";
import { rememberedPins } from "../sources/pin-memory.ts";
import type { BlobStore, StoredValue } from "../storage/blob-store.ts";
import { parseStorageKey, type StorageKey } from "../storage/keys.ts";
import { parseStoredJson } from "../storage/stored-json.ts";

const DAY_MS = 86_400_000;

export interface Removed {
  readonly roots: number;
  readonly objects: number;
}

/** `own`: pins that tags have here, whether they are stored or not. */
export async function removeOld(
  store: BlobStore,
  own: ReadonlySet<Pin>,
  nowMs: number,
): Promise<Removed> {
  const tagged = await rememberedPins(store);
  // What is remembered of a tag says no configuration.
  const isTagged = (pin: Pin) => own.has(pin) || tagged.has(configuredPin(pin, ""));
  const kept: StorageKey[] = [];
  const old = new Map<System, StoredValue[]>();
  for await (const stored of store.list("index/")) {
    const parsed = parseStorageKey(stored.key);
    if (parsed?.collection !== "index") continue;
    const { pin, system } = parsed;
    if (isTagged(pin)) kept.push(stored.key);
    else old.set(system, [...(old.get(system) ?? []), stored]);
  }
  let roots = 0;
  for (const each of old.values()) {
    const [last] = each.sort((a, b) => b.storedAtMs - a.storedAtMs);
    const isOver = ({ storedAtMs }: StoredValue) => !isYounger(storedAtMs, nowMs, DAY_MS);
    for (const stored of each) {
      if (stored === last || !isOver(stored)) kept.push(stored.key);
      else {
        await store.remove(stored.key);
        roots += 1;
      }
    }
  }
  for await (const { key, storedAtMs } of store.list("index-slices/")) {
    const parsed = parseStorageKey(key);
    if (parsed?.collection !== "index-slices" || isTagged(parsed.pin)) continue;
    if (!isYounger(storedAtMs, nowMs, DAY_MS)) await store.remove(key);
  }
  if (roots === 0) return { roots, objects: 0 };
  const named = new Set<string>();
  for (const key of kept) {
    const bytes = await store.lookup(key);
    const root = bytes && parseRoot(parseStoredJson(bytes));
    for (const { digest } of root ? objectsOf(root) : []) named.add(digestHex(digest));
  }
  return { roots, objects: await removeObjects(store, named, nowMs) };
}

async function removeObjects(
  store: BlobStore,
  named: ReadonlySet<string>,
  nowMs: number,
): Promise<number> {
  let objects = 0;
  for await (const { key, storedAtMs } of store.list("index-objects/")) {
    if (named.has(key.split("/")[1] ?? "") || isYounger(storedAtMs, nowMs, DAY_MS)) continue;
    await store.remove(key);
    objects += 1;
  }
  return objects;
}
