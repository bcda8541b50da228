// Which pin a tag has now. An earlier pin is answered at once, however old, and asked for again
// behind the answer: only a tag never resolved before makes anyone wait for a remote.

import type { Pin } from "../../registry/pin.ts";
import type { Tag } from "../../registry/reference.ts";
import type { Log } from "../log.ts";
import { type CarriedPopularity, readCarriedPopularity } from "../nix/carried-popularity.ts";
import type { PinnedSource } from "../nix/pinned-source.ts";
import { recentValues } from "../recent.ts";
import type { BlobStore } from "../storage/blob-store.ts";
import { joinBatches } from "../waiting/join.ts";
import { openPinMemory } from "./pin-memory.ts";
import { createResolver, type ResolverOptions } from "./resolve.ts";
import { type Resolution, sourceId } from "./source.ts";

export interface PinnedTag {
  readonly kind: "pinned";
  readonly pin: Pin;
  readonly source: PinnedSource;
  readonly resolvedAtMs: number;
  readonly immutable: boolean;
  /** Set where the pin could not be asked for again: why not. */
  readonly outdated?: string;
}

export type PinResult =
  | PinnedTag
  | { readonly kind: "unknown-tag"; readonly message: string }
  | { readonly kind: "unreachable"; readonly message: string };

export interface Pins {
  resolve(tag: Tag): Promise<PinResult>;
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
   * The new pin is stored by then, and answered from now on.
   */
  readonly onMoved?: (tag: Tag, from: PinnedTag, to: PinnedTag) => void;
}

interface Failures {
  readonly count: number;
  readonly notBeforeMs: number;
  readonly reason: string;
}

const MAX_FAILING_TAGS = 1000;
const FIRST_RETRY_MS = 2000;
const MAX_RETRY_MS = 300_000;

export function rememberPins(options: PinsOptions): Pins {
  const { source, freshMs, log, now, onMoved } = options;
  const resolver = createResolver(options);
  const memory = openPinMemory(options.store, sourceId(source));
  const staleAfterMs = Math.min(freshMs, resolver.recheckMs ?? freshMs);
  const failing = recentValues<Failures>(MAX_FAILING_TAGS);
  const refreshing = new Map<Tag, Promise<void>>();
  const joined = joinBatches<Tag, PinResult>(
    (tag) => tag,
    (tags) => Promise.all(tags.map(async (tag) => remember(tag, await resolver.resolve(tag)))),
  );

  async function remember(tag: Tag, resolution: Resolution): Promise<PinResult> {
    if (resolution.kind === "pinned" && resolution.immutable) {
      return { ...resolution, resolvedAtMs: now() };
    }
    const earlier = await memory.lookup(tag);
    switch (resolution.kind) {
      case "pinned":
        return await pinnedNow(tag, { ...resolution, resolvedAtMs: now() });
      case "unreachable":
        return earlier === undefined ? resolution : failedAgain(tag, earlier, resolution.message);
      case "unknown-tag":
        // The remote did answer: whoever removed the branch meant it.
        if (earlier !== undefined) {
          await memory.forget(tag);
          log.warn({ tag, pin: earlier.pin }, "tag is gone from the source");
        }
        return resolution;
      default:
        return resolution satisfies never;
    }
  }

  async function pinnedNow(tag: Tag, pinned: PinnedTag): Promise<PinnedTag> {
    // Of several pulls that find the same move, the first one alone has the earlier pin here.
    const earlier = await memory.store(tag, pinned);
    if (failing.lookup(tag) !== undefined) failing.store(tag, NO_FAILURES);
    if (earlier !== undefined && earlier.pin !== pinned.pin) {
      log.info({ tag, from: earlier.pin, to: pinned.pin }, "tag moved");
      onMoved?.(tag, earlier, pinned);
    }
    return pinned;
  }

  function failedAgain(tag: Tag, earlier: PinnedTag, reason: string): PinnedTag {
    if (options.signal?.aborted) return earlier;
    const count = (failing.lookup(tag)?.count ?? 0) + 1;
    const delayMs = Math.min(FIRST_RETRY_MS * 2 ** (count - 1), MAX_RETRY_MS);
    failing.store(tag, { count, notBeforeMs: now() + delayMs, reason });
    const ageSeconds = Math.round((now() - earlier.resolvedAtMs) / 1000);
    const facts = { tag, pin: earlier.pin, ageSeconds, retrySeconds: delayMs / 1000, reason };
    log.warn(facts, "tag kept at an earlier pin");
    return { ...earlier, outdated: reason };
  }

  function refreshBehind(tag: Tag): void {
    if (refreshing.has(tag) || now() < (failing.lookup(tag)?.notBeforeMs ?? 0)) return;
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
      if (now() - known.resolvedAtMs >= staleAfterMs) refreshBehind(tag);
      const reason = failing.lookup(tag)?.reason;
      return reason ? { ...known, outdated: reason } : known;
    },
    carriedPopularity: ({ source }) => readCarriedPopularity(options.nix, source, options.signal),
    async settled() {
      await Promise.all(refreshing.values());
    },
  };
}

const NO_FAILURES: Failures = { count: 0, notBeforeMs: 0, reason: "" };
