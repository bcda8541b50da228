// The last pin of each tag: in memory, and in the storage for the next start.

import * as v from "valibot";
import { type Pin, pinSchema } from "../../registry/naming/pin.ts";
import type { Tag } from "../../registry/naming/reference.ts";
import { recentValues } from "../memory/recent-values.ts";
import type { PinnedSource } from "../nix/pinned-source.ts";
import type { BlobStore } from "../storage/blob-store.ts";
import { storageKey } from "../storage/keys.ts";
import { parseStoredJson, storedJson } from "../storage/stored-json.ts";

export interface PinnedTag {
  readonly kind: "pinned";
  readonly pin: Pin;
  readonly source: PinnedSource;
  readonly resolvedAtMs: number;
  readonly immutable: boolean;
  /** Set where the pin could not be asked for again: why not. */
  readonly outdated?: string;
  /** Set where it answers though the tag has another by now: why that one does not. */
  readonly whyEarlier?: string;
}

export interface PinMemory {
  lookup(tag: Tag): Promise<PinnedTag | undefined>;
  /** Answers with the pin from now on, whenever it is written for the next start. */
  store(tag: Tag, pinned: PinnedTag): StoredPin;
  forget(tag: Tag): Promise<void>;
}

export interface StoredPin {
  /** What the tag had until now, as far as it has been looked up. */
  readonly earlier: PinnedTag | undefined;
  readonly written: Promise<void>;
}

const MAX_TAGS_IN_MEMORY = 1000;
/** The stored time of an unchanged pin may be so old: a local path is resolved with every pull. */
const REWRITE_AFTER_MS = 60_000;

const storedSchema = v.object({
  pin: pinSchema,
  resolvedAtMs: v.number(),
  source: v.variant("kind", [
    v.object({ kind: v.literal("nixpkgs"), url: v.string(), commit: v.string() }),
    v.object({
      kind: v.literal("git"),
      url: v.string(),
      commit: v.string(),
      ref: v.exactOptional(v.string()),
    }),
    v.object({ kind: v.literal("path"), path: v.string(), narHash: v.string() }),
    v.object({ kind: v.literal("flake"), url: v.string() }),
  ]),
});

export function parseStoredPin(bytes: Uint8Array): { readonly pin: Pin } | undefined {
  const parsed = v.safeParse(storedSchema, parseStoredJson(bytes));
  return parsed.success ? parsed.output : undefined;
}

/** Of all tags of all sources that this storage has served. */
export async function rememberedPins(
  store: Pick<BlobStore, "list" | "lookup">,
): Promise<ReadonlySet<Pin>> {
  const pins = new Set<Pin>();
  for await (const { key } of store.list("pins/")) {
    const bytes = await store.lookup(key);
    const stored = bytes && parseStoredPin(bytes);
    if (stored !== undefined) pins.add(stored.pin);
  }
  return pins;
}

export function openPinMemory(store: BlobStore, sourceId: string): PinMemory {
  /** Null for a tag that was forgotten. */
  const recent = recentValues<{ readonly pinned: PinnedTag | null; readonly storedMs: number }>(
    MAX_TAGS_IN_MEMORY,
  );
  const keyOf = (tag: Tag) => storageKey.pin(sourceId, tag);

  async function read(tag: Tag): Promise<PinnedTag | undefined> {
    const bytes = await store.lookup(keyOf(tag));
    if (bytes === undefined) return undefined;
    const parsed = v.safeParse(storedSchema, parseStoredJson(bytes));
    return parsed.success ? { kind: "pinned", immutable: false, ...parsed.output } : undefined;
  }

  return {
    async lookup(tag) {
      const known = recent.lookup(tag);
      if (known !== undefined) return known.pinned ?? undefined;
      const pinned = await read(tag);
      // A resolution that has ended meanwhile knows better.
      const newer = recent.lookup(tag);
      if (newer !== undefined) return newer.pinned ?? undefined;
      if (pinned !== undefined) recent.store(tag, { pinned, storedMs: pinned.resolvedAtMs });
      return pinned;
    },
    store(tag, pinned) {
      const known = recent.lookup(tag);
      const { pin, resolvedAtMs, source } = pinned;
      const isStored =
        JSON.stringify(known?.pinned?.source) === JSON.stringify(source) &&
        resolvedAtMs - (known?.storedMs ?? 0) < REWRITE_AFTER_MS;
      recent.store(tag, { pinned, storedMs: isStored ? (known?.storedMs ?? 0) : resolvedAtMs });
      const bytes = storedJson({ pin, resolvedAtMs, source });
      const written = isStored ? Promise.resolve() : store.store(keyOf(tag), bytes);
      return { earlier: known?.pinned ?? undefined, written };
    },
    async forget(tag) {
      recent.store(tag, { pinned: null, storedMs: 0 });
      await store.remove(keyOf(tag));
    },
  };
}
