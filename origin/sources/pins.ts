// Remembers what tags resolved to: in memory for a while, in the storage for when a remote is gone.

import * as v from "valibot";
import { type Pin, pinSchema } from "../../registry/pin.ts";
import type { Tag } from "../../registry/reference.ts";
import { joinBatches } from "../join.ts";
import type { Log } from "../log.ts";
import type { PinnedSource } from "../nix/pinned-source.ts";
import { recentValues } from "../recent.ts";
import type { BlobStore } from "../storage/blob-store.ts";
import { storageKey } from "../storage/keys.ts";
import { parseStoredJson } from "../storage/stored-json.ts";
import { type Environment, resolveTag } from "./resolve.ts";
import { type Source, sourceId } from "./source.ts";

export interface PinnedTag {
  readonly kind: "pinned";
  readonly pin: Pin;
  readonly source: PinnedSource;
  readonly resolvedAtMs: number;
  readonly immutable: boolean;
}

export type PinResult =
  | PinnedTag
  | { readonly kind: "unknown-tag"; readonly message: string }
  | { readonly kind: "unreachable"; readonly message: string };

export interface Pins {
  resolve(tag: Tag): Promise<PinResult>;
}

export interface PinsOptions {
  readonly source: Source;
  readonly store: BlobStore;
  readonly env: Environment;
  readonly freshMs: number;
  readonly log: Log;
  readonly now: () => number;
  /**
   * Called when a tag resolves to another pin than the one remembered, also by an earlier process.
   * The new pin is stored by then, and answered from now on.
   */
  readonly onMoved?: (tag: Tag, from: PinnedTag, to: PinnedTag) => void;
}

const MAX_TAGS_IN_MEMORY = 1000;

const rememberedSchema = v.object({
  pin: pinSchema,
  resolvedAtMs: v.number(),
  immutable: v.boolean(),
  source: v.variant("kind", [
    v.object({ kind: v.literal("nixpkgs"), url: v.string(), commit: v.string() }),
    v.object({
      kind: v.literal("git"),
      url: v.string(),
      commit: v.string(),
      ref: v.exactOptional(v.string()),
    }),
    v.object({ kind: v.literal("path"), path: v.string(), narHash: v.string() }),
  ]),
});

export function rememberPins(options: PinsOptions): Pins {
  const { source, store, env, freshMs, log, now, onMoved } = options;
  const recent = recentValues<PinnedTag>(MAX_TAGS_IN_MEMORY);
  const keyOf = (tag: Tag) => storageKey.pin(sourceId(source), tag);

  async function resolveFresh(tag: Tag): Promise<PinResult> {
    const resolution = await resolveTag(source, tag, env);
    if (resolution.kind === "unknown-tag") return resolution;
    const earlier = recent.lookup(tag) ?? (await remembered(tag));
    if (resolution.kind === "unreachable") {
      if (earlier === undefined) return resolution;
      log.warn({ tag, pin: earlier.pin, reason: resolution.message }, "tag kept at an earlier pin");
      return earlier;
    }
    const pinned: PinnedTag = { ...resolution, resolvedAtMs: now() };
    recent.store(tag, pinned);
    const { kind: _, ...memory } = pinned;
    await store.store(keyOf(tag), Buffer.from(JSON.stringify(memory)));
    if (earlier !== undefined && earlier.pin !== pinned.pin) onMoved?.(tag, earlier, pinned);
    return pinned;
  }

  async function remembered(tag: Tag): Promise<PinnedTag | undefined> {
    const bytes = await store.lookup(keyOf(tag));
    if (bytes === undefined) return undefined;
    const parsed = v.safeParse(rememberedSchema, parseStoredJson(bytes));
    return parsed.success ? { kind: "pinned", ...parsed.output } : undefined;
  }

  const joined = joinBatches<Tag, PinResult>(
    (tag) => tag,
    (tags) => Promise.all(tags.map(resolveFresh)),
  );

  return {
    async resolve(tag) {
      const known = recent.lookup(tag);
      if (known && (known.immutable || now() - known.resolvedAtMs < freshMs)) return known;
      const [result] = await joined.all([tag]);
      if (result === undefined) throw new Error("a joined call gives one result per item");
      return result;
    },
  };
}
