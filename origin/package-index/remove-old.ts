// Takes away the indexes of pins that no tag has any more, with the objects that no other index has. What
// was stored within a day stays: it may be of an index that is being made, here or at another origin.

import { isYounger } from "../../registry/between/age.ts";
import { digestHex } from "../../registry/naming/digest.ts";
import { configuredPin, type Pin } from "../../registry/naming/pin.ts";
import { parseRoot } from "../../registry/package-index/root.ts";
import { rememberedPins } from "../sources/pin-memory.ts";
import type { BlobStore } from "../storage/blob-store.ts";
import { parseStorageKey } from "../storage/keys.ts";
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
  const named = new Set<string>();
  let roots = 0;
  for await (const { key, storedAtMs } of store.list("index/")) {
    const parsed = parseStorageKey(key);
    if (parsed?.collection !== "index") continue;
    if (isTagged(parsed.pin) || isYounger(storedAtMs, nowMs, DAY_MS)) {
      const bytes = await store.lookup(key);
      const root = bytes && parseRoot(parseStoredJson(bytes));
      if (root === undefined) continue;
      for (const { digest } of [...root.shards, root.names, root.texts]) {
        named.add(digestHex(digest));
      }
    } else {
      await store.remove(key);
      roots += 1;
    }
  }
  for await (const { key, storedAtMs } of store.list("index-slices/")) {
    const parsed = parseStorageKey(key);
    if (parsed?.collection !== "index-slices" || isTagged(parsed.pin)) continue;
    if (!isYounger(storedAtMs, nowMs, DAY_MS)) await store.remove(key);
  }
  return { roots, objects: roots === 0 ? 0 : await removeObjects(store, named, nowMs) };
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
