// Which pin a tag has now. An earlier pin is answered at once, however old, and asked for again
// behind the answer: only a tag never resolved before makes anyone wait for a remote.

import { isYounger } from "../../registry/between/age.ts";
import type { TagMove } from "../../registry/between/tag-pins.ts";
import { configuredPin, type Pin } from "../../registry/naming/pin.ts";
import type { Tag } from "../../registry/naming/reference.ts";
import type { Log } from "../log/log.ts";
import { type CarriedPopularity, readCarriedPopularity } from "../nix/carried-popularity.ts";
import type { BlobStore } from "../storage/blob-store.ts";
import { joinBatches } from "../waiting/join.ts";
import { createFailingTags } from "./failing-tags.ts";
import { openPinMemory, type PinnedTag } from "./pin-memory.ts";
import { createResolver, type ResolverOptions } from "./resolve.ts";
import { type Resolution, sourceId } from "./source.ts";

export type { PinnedTag } from "./pin-memory.ts";

export type PinResult =
  | PinnedTag
  | { readonly kind: "unknown-tag"; readonly message: string }
  | { readonly kind: "unreachable"; readonly message: string };

export interface Pins {
  resolve(tag: Tag): Promise<PinResult>;
  /** What is known without asking a remote, and with nothing begun; undefined where nobody has asked yet. */
  known(tag: Tag): Promise<Exclude<PinResult, { kind: "unreachable" }> | undefined>;
  /** Where the tag led before, the newest first, as far as it is remembered. */
  moves(tag: Tag): Promise<readonly TagMove[]>;
  /** The package set was seen to load at the pin that the tag has. */
  loads(tag: Tag, pin: Pin): Promise<void>;
  /** The pin of a tag at which the set was last seen to load. */
  lastLoading(tag: Tag): Promise<PinnedTag | undefined>;
  carriedPopularity(pinned: PinnedTag): Promise<CarriedPopularity>;
  /** Resolves when nothing is being asked for behind an answer. */
  settled(): Promise<void>;
}

export interface PinsOptions extends ResolverOptions {
  readonly store: BlobStore;
  readonly freshMs: number;
  readonly log: Log;
  /**
   * Called when a tag resolves to another pin than the one remembered, also by an earlier process.
   * The new pin is answered from now on.
   */
  readonly onMoved?: (tag: Tag, from: PinnedTag, to: PinnedTag) => void;
}

export function rememberPins(options: PinsOptions): Pins {
  const { source, freshMs, log, now, onMoved } = options;
  const resolver = createResolver(options);
  const memory = openPinMemory(options.store, sourceId(source));
  // Kept like the others, and so are their files.
  const loading = openPinMemory(options.store, `${sourceId(source)} loads`);
  const staleAfterMs = Math.min(freshMs, resolver.recheckMs ?? freshMs);
  const failing = createFailingTags(now);
  const refreshing = new Map<Tag, Promise<void>>();
  const joined = joinBatches<Tag, PinResult>(
    (tag) => tag,
    (tags) => Promise.all(tags.map(async (tag) => remember(tag, await ask(tag)))),
  );

  async function ask(tag: Tag): Promise<Resolution> {
    const startedMs = now();
    const resolution = await resolver.resolve(tag);
    log.debug({ tag, kind: resolution.kind, ms: now() - startedMs }, "resolved");
    return resolution;
  }

  async function remember(tag: Tag, resolution: Resolution): Promise<PinResult> {
    if (resolution.kind === "pinned" && resolution.immutable) {
      return { ...resolution, resolvedAtMs: now() };
    }
    const earlier = await memory.lookup(tag);
    switch (resolution.kind) {
      case "pinned":
        return await pinnedNow(tag, { ...resolution, resolvedAtMs: now() });
      case "unreachable":
        if (earlier !== undefined) return failedAgain(tag, earlier, resolution.message);
        log.error({ tag, reason: resolution.message }, "a tag could not be resolved");
        return resolution;
      case "unknown-tag":
        // The remote did answer: whoever removed the branch meant it.
        if (earlier !== undefined) {
          await memory
            .forget(tag)
            .catch((error) => log.warn({ err: error, tag }, "a pin is still on disk"));
          log.warn({ tag, pin: earlier.pin }, "tag is gone from the source");
        }
        return resolution;
      default:
        return resolution satisfies never;
    }
  }

  async function pinnedNow(tag: Tag, pinned: PinnedTag): Promise<PinnedTag> {
    // Of several pulls that find the same move, the first one alone has the earlier pin here.
    const { earlier, written } = memory.store(tag, pinned);
    failing.remove(tag);
    // Before anything is waited for: no pull may get the new pin as if nothing had moved.
    if (earlier !== undefined && earlier.pin !== pinned.pin) {
      log.info({ tag, from: earlier.pin, to: pinned.pin }, "tag moved");
      onMoved?.(tag, earlier, pinned);
    }
    await written.catch((error) => log.warn({ err: error, tag }, "a pin is not on disk"));
    return pinned;
  }

  function failedAgain(tag: Tag, earlier: PinnedTag, reason: string): PinnedTag {
    if (options.signal?.aborted) return earlier;
    const delayMs = failing.add(tag, reason);
    const ageSeconds = Math.round((now() - earlier.resolvedAtMs) / 1000);
    const facts = { tag, pin: earlier.pin, ageSeconds, retrySeconds: delayMs / 1000, reason };
    log.warn(facts, "tag kept at an earlier pin");
    return { ...earlier, outdated: reason };
  }

  function refreshBehind(tag: Tag): void {
    if (refreshing.has(tag) || failing.isResting(tag)) return;
    const refresh = async () => {
      try {
        await joined.all([tag]);
      } catch (error) {
        log.error({ err: error, tag }, "a tag could not be refreshed");
      } finally {
        refreshing.delete(tag);
      }
    };
    refreshing.set(tag, refresh());
  }

  return {
    async resolve(tag) {
      const atOnce = await resolver.resolveAtOnce(tag);
      if (atOnce !== undefined) return await remember(tag, atOnce);
      const known = await memory.lookup(tag);
      if (known === undefined) {
        const [result] = await joined.all([tag]);
        if (result === undefined) throw new Error("a joined call gives one result per item");
        return result;
      }
      if (!isYounger(known.resolvedAtMs, now(), staleAfterMs)) refreshBehind(tag);
      const reason = failing.reasonOf(tag);
      return reason === undefined ? known : { ...known, outdated: reason };
    },
    async known(tag) {
      const known = await memory.lookup(tag);
      if (known !== undefined) return known;
      const atOnce = await resolver.resolveAtOnce(tag);
      switch (atOnce?.kind) {
        case "pinned":
          return { ...atOnce, resolvedAtMs: now() };
        case "unknown-tag":
          return atOnce;
        case "unreachable":
        case undefined:
          return undefined;
        default:
          return atOnce satisfies never;
      }
    },
    moves: (tag) => memory.moves(tag),
    async loads(tag, pin) {
      const pinned = await memory.lookup(tag);
      // It has moved on meanwhile, or is itself a revision.
      if (pinned?.pin !== configuredPin(pin, "")) return;
      if ((await loading.lookup(tag))?.pin === pinned.pin) return;
      const { written } = loading.store(tag, pinned);
      await written.catch((error) => log.warn({ err: error, tag }, "a pin is not on disk"));
    },
    lastLoading: (tag) => loading.lookup(tag),
    carriedPopularity: ({ source }) => readCarriedPopularity(options.nix, source, options.signal),
    async settled() {
      await Promise.all(refreshing.values());
    },
  };
}
