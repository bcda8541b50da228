// The slices of an index under way, in the storage: numbered as they come, removed when the index is there.

import type { Pin } from "../../registry/naming/pin.ts";
import type { System } from "../../registry/naming/recipe.ts";
import type { BlobStore } from "../storage/blob-store.ts";
import { type StorageKey, storageKey } from "../storage/keys.ts";

/** Behind all slices there can be: whose turn it is (claim.ts). */
const CLAIM_PLACE = 999_999;

export interface StoredSlices {
  readonly claimKey: StorageKey;
  /** In the order in which they were stored. */
  all(): AsyncIterable<Uint8Array>;
  add(packed: Uint8Array): Promise<void>;
  removeAll(): Promise<void>;
}

export function openStoredSlices(store: BlobStore, pin: Pin, system: System): StoredSlices {
  const claimKey = storageKey.indexSlice(pin, system, CLAIM_PLACE);
  const prefix = claimKey.slice(0, -String(CLAIM_PLACE).length);
  const isSlice = (key: StorageKey) => key.startsWith(prefix) && key !== claimKey;
  const placeOf = (key: StorageKey) => Number(key.slice(prefix.length));
  let last = -1;

  async function keys(): Promise<readonly StorageKey[]> {
    const found: StorageKey[] = [];
    for await (const { key } of store.list("index-slices/")) if (isSlice(key)) found.push(key);
    return found.sort((a, b) => placeOf(a) - placeOf(b));
  }

  return {
    claimKey,
    async *all() {
      for (const key of await keys()) {
        last = Math.max(last, placeOf(key));
        const packed = await store.lookup(key);
        if (packed !== undefined) yield packed;
      }
    },
    async add(packed) {
      last += 1;
      await store.remember(storageKey.indexSlice(pin, system, last), packed);
    },
    async removeAll() {
      for (const key of await keys()) await store.remove(key);
    },
  };
}
