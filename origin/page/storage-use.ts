// What the storage holds, collection by collection. Listing may take a while and cost money, so it is done
// behind the answers, once a minute while anybody asks, and of each collection within bounds.

import { isYounger } from "../../registry/between/age.ts";
import type { StorageTold } from "../../registry/http/operator-view.ts";
import type { Log } from "../log/log.ts";
import type { ReadableStore } from "../storage/blob-store.ts";
import { COLLECTIONS, type Collection } from "../storage/keys.ts";

export interface StorageUse {
  /** As it was counted last; begins to count again where that is old. Null before the first is done. */
  told(): StorageTold | null;
  settled(): Promise<void>;
}

export interface StorageUseOptions {
  readonly store: Pick<ReadableStore, "list">;
  readonly now: () => number;
  readonly log: Pick<Log, "warn">;
  readonly signal: AbortSignal;
  /** Of each collection. */
  readonly maxValues?: number;
}

const FRESH_MS = 60_000;
const MAX_VALUES = 50_000;
/** For all of them: what is left then is told as it is known. */
const MAX_MS = 20_000;

export function createStorageUse(options: StorageUseOptions): StorageUse {
  const { now, log, signal } = options;
  let told: StorageTold | null = null;
  let triedAtMs = Number.NEGATIVE_INFINITY;
  let counting: Promise<void> | undefined;

  async function count(): Promise<void> {
    try {
      const untilMs = performance.now() + MAX_MS;
      const collections = [];
      for (const name of COLLECTIONS) collections.push(await countOne(options, name, untilMs));
      told = { countedAtMs: now(), collections };
    } catch (error) {
      if (!signal.aborted) log.warn({ err: error }, "the storage's use is not counted");
    } finally {
      triedAtMs = now();
      counting = undefined;
    }
  }

  return {
    told() {
      if (!isYounger(triedAtMs, now(), FRESH_MS)) counting ??= count();
      return told;
    },
    settled: async () => counting,
  };
}

async function countOne(
  { store, signal, maxValues = MAX_VALUES }: StorageUseOptions,
  name: Collection,
  untilMs: number,
): Promise<StorageTold["collections"][number]> {
  let count = 0;
  let bytes = 0;
  for await (const { sizeBytes } of store.list(`${name}/`)) {
    signal.throwIfAborted();
    if (count >= maxValues || performance.now() > untilMs) {
      return { name, count, bytes, isPartial: true };
    }
    count += 1;
    bytes += sizeBytes;
  }
  return { name, count, bytes, isPartial: false };
}
