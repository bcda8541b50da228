// The last pin of each tag: in memory, and in the storage for the next start.

import * as v from "valibot";
import { type TagMove, tagMovesSchema, withMove } from "../../registry/between/tag-pins.ts";
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
  /** Where the tag led before, the newest first, its pin at their head. */
  moves(tag: Tag): Promise<readonly TagMove[]>;
  /** Answers with the pin from now on, whenever it is written for the next start. */
  store(tag: Tag, pinned: PinnedTag): StoredPin;
  forget(tag: Tag): Promise<void>;
}

export interface StoredPin {
  /** What the tag had until now, as far as it has been looked up. */
  readonly earlier: PinnedTag | undefined;
  readonly written: Promise<void>;
}

interface RememberedTag {
  /** Null for a tag that was forgotten. */
  readonly pinned: PinnedTag | null;
  readonly moves: readonly TagMove[];
  readonly storedMs: number;
}

const MAX_TAGS_IN_MEMORY = 1000;
/** The stored time of an unchanged pin may be so old: a local path is resolved with every pull. */
const REWRITE_AFTER_MS = 60_000;

const storedSchema = v.object({
  pin: pinSchema,
  resolvedAtMs: v.number(),
  moves: v.exactOptional(tagMovesSchema),
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

/** With the one that the tag had before, as far as that is known. */
export function parseStoredPin(
  bytes: Uint8Array,
): { readonly pin: Pin; readonly before: Pin | undefined } | undefined {
  const parsed = v.safeParse(storedSchema, parseStoredJson(bytes));
  if (!parsed.success) return undefined;
  const { pin, moves = [] } = parsed.output;
  return { pin, before: moves.find((move) => move.pin !== pin)?.pin };
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
  const recent = recentValues<RememberedTag>(MAX_TAGS_IN_MEMORY);
  const keyOf = (tag: Tag) => storageKey.pin(sourceId, tag);

  async function read(tag: Tag): Promise<RememberedTag | undefined> {
    const bytes = await store.lookup(keyOf(tag));
    if (bytes === undefined) return undefined;
    const parsed = v.safeParse(storedSchema, parseStoredJson(bytes));
    if (!parsed.success) return undefined;
    const { moves, ...stored } = parsed.output;
    const pinned: PinnedTag = { kind: "pinned", immutable: false, ...stored };
    // Before moves were kept there was none.
    return { pinned, moves: moves ?? withMove([], pinned), storedMs: pinned.resolvedAtMs };
  }

  async function recall(tag: Tag): Promise<RememberedTag | undefined> {
    const known = recent.lookup(tag);
    if (known !== undefined) return known;
    const stored = await read(tag);
    // A resolution that has ended meanwhile knows better.
    const newer = recent.lookup(tag);
    if (newer !== undefined) return newer;
    if (stored !== undefined) recent.store(tag, stored);
    return stored;
  }

  return {
    async lookup(tag) {
      return (await recall(tag))?.pinned ?? undefined;
    },
    async moves(tag) {
      return (await recall(tag))?.moves ?? [];
    },
    store(tag, pinned) {
      const known = recent.lookup(tag);
      const { pin, resolvedAtMs, source } = pinned;
      // What is yet to come was noted by a clock that was wrong.
      const past = known?.moves.filter(({ sinceMs }) => sinceMs <= resolvedAtMs);
      const moves = withMove(past ?? [], pinned);
      const isStored =
        JSON.stringify(known?.pinned?.source) === JSON.stringify(source) &&
        resolvedAtMs - (known?.storedMs ?? 0) < REWRITE_AFTER_MS;
      const storedMs = isStored ? (known?.storedMs ?? 0) : resolvedAtMs;
      recent.store(tag, { pinned, moves, storedMs });
      const bytes = storedJson({ pin, resolvedAtMs, source, moves });
      const written = isStored ? Promise.resolve() : store.store(keyOf(tag), bytes);
      return { earlier: known?.pinned ?? undefined, written };
    },
    async forget(tag) {
      recent.store(tag, { pinned: null, moves: [], storedMs: 0 });
      await store.remove(keyOf(tag));
    },
  };
}
