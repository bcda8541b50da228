// What Nix has said of names at a pin, found or not, in as many slots as it takes: a name has one slot,
// and the one asked last has it. However many names are made up, a pin takes at most MAX_SLOTS files.

import * as v from "valibot";
import { type Lookup, parseLookup } from "../../registry/image/lookup.ts";
import type { Pin } from "../../registry/naming/pin.ts";
import type { PackageName, System } from "../../registry/naming/recipe.ts";
import type { Log } from "../log/log.ts";
import type { BlobStore } from "../storage/blob-store.ts";
import { storageKey } from "../storage/keys.ts";
import { parseStoredJson, storedJson } from "../storage/stored-json.ts";

export interface AskedName {
  readonly pin: Pin;
  readonly system: System;
  readonly name: PackageName;
}

export interface AskedNames {
  recall(asked: AskedName): Promise<Lookup | undefined>;
  /** Never fails: what is not remembered is asked again. */
  remember(asked: AskedName, lookup: Lookup): Promise<void>;
}

export interface AskedNamesOptions {
  readonly store: BlobStore;
  /** Names the expressions that Nix was asked with: others may say something else. */
  readonly expressionsId: string;
  readonly log: Log;
}

/** About 16 MB for each pin and system on a disk of 4 KiB blocks, if someone tries every name. */
export const MAX_SLOTS = 4096;

/** A set's own texts may be long, and a slot is small. */
const MAX_SLOT_BYTES = 16 * 1024;

const slotSchema = v.object({ name: v.string(), expressionsId: v.string(), lookup: v.unknown() });

/** What a slot says of a name, by whatever expressions; undefined where another name has it. */
export function parseSlot(bytes: Uint8Array, name: PackageName) {
  const slot = v.safeParse(slotSchema, parseStoredJson(bytes));
  return slot.success && slot.output.name === name ? slot.output : undefined;
}

export function openAskedNames({ store, expressionsId, log }: AskedNamesOptions): AskedNames {
  const keyOf = ({ pin, system, name }: AskedName) =>
    storageKey.asked(pin, system, name, MAX_SLOTS);
  return {
    async recall(asked) {
      const bytes = await store.lookup(keyOf(asked));
      if (bytes === undefined) return undefined;
      const slot = parseSlot(bytes, asked.name);
      return slot?.expressionsId === expressionsId ? parseLookup(slot.lookup) : undefined;
    },
    async remember(asked, lookup) {
      const bytes = storedJson({ name: asked.name, expressionsId, lookup });
      if (bytes.length > MAX_SLOT_BYTES) return;
      try {
        await store.remember(keyOf(asked), bytes);
      } catch (error) {
        log.warn({ err: error, name: asked.name }, "a lookup could not be remembered");
      }
    },
  };
}
