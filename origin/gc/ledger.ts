// What is kept, and how many bytes that is. Whoever adds a value adds what is remembered of it as well.

import { configuredPin, type Pin } from "../../registry/naming/pin.ts";
import { type StorageKey, storageKey } from "../storage/keys.ts";
import type { Inventory } from "./inventory.ts";

export interface Ledger {
  add(keys: Iterable<StorageKey>): void;
  /** What names were asked at it, and which tags have it. */
  addPin(pin: Pin): void;
  /** What adding all this would add. */
  moreBytes(keys: Iterable<StorageKey>, pin: Pin | null): number;
  readonly kept: ReadonlySet<StorageKey>;
  bytes(): number;
}

export interface LedgerOptions {
  readonly inventory: Inventory;
  readonly notes: ReadonlyMap<StorageKey | undefined, readonly StorageKey[]>;
  /** By revision, whatever the configuration: what is remembered of tags. */
  readonly tags: ReadonlyMap<Pin, readonly StorageKey[]>;
  /** Null where it is not known which edge was given a blob. */
  readonly edgeUrl: string | null;
}

export function openLedger({ inventory, notes, tags, edgeUrl }: LedgerOptions): Ledger {
  const kept = new Set<StorageKey>();
  const pins = new Set<Pin>();
  const asked = askedByPin(inventory);
  let bytes = 0;

  function keysOf(pin: Pin): readonly StorageKey[] {
    return [...(asked.get(pin) ?? []), ...(tags.get(configuredPin(pin, "")) ?? [])];
  }

  function companionsOf(key: StorageKey): readonly StorageKey[] {
    const of = inventory.get(key)?.of;
    if (of?.collection !== "layers" && of?.collection !== "index-objects") return [];
    const pushed = edgeUrl === null ? [] : [storageKey.pushed(edgeUrl, of.digest)];
    return [...(notes.get(key) ?? []), ...pushed];
  }

  function addOne(key: StorageKey): void {
    const held = inventory.get(key);
    if (held === undefined || kept.has(key)) return;
    kept.add(key);
    bytes += held.sizeBytes;
    for (const each of companionsOf(key)) addOne(each);
  }

  const sizeOf = (key: StorageKey) => (kept.has(key) ? 0 : (inventory.get(key)?.sizeBytes ?? 0));

  return {
    kept,
    bytes: () => bytes,
    add(keys) {
      for (const key of keys) addOne(key);
    },
    addPin(pin) {
      if (pins.has(pin)) return;
      pins.add(pin);
      for (const key of keysOf(pin)) addOne(key);
    },
    moreBytes(keys, pin) {
      let more = 0;
      for (const key of keys) {
        if (kept.has(key)) continue;
        more += sizeOf(key);
        for (const each of companionsOf(key)) more += sizeOf(each);
      }
      if (pin === null || pins.has(pin)) return more;
      return keysOf(pin).reduce((sum, key) => sum + sizeOf(key), more);
    },
  };
}

function askedByPin(inventory: Inventory): ReadonlyMap<Pin, readonly StorageKey[]> {
  const asked = new Map<Pin, StorageKey[]>();
  for (const { key, of } of inventory.values()) {
    if (of.collection !== "asked") continue;
    const those = asked.get(of.pin) ?? [];
    those.push(key);
    asked.set(of.pin, those);
  }
  return asked;
}
