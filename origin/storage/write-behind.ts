// Small values that are cheap to find out again, written when nobody waits for the machine: a first
// pull has a hundred of them, and would take a tenth longer. Until they are written they are known
// here. A kill loses them.

import type { Log } from "../log/log.ts";
import type { BlobStore } from "./blob-store.ts";
import type { StorageKey } from "./keys.ts";

export interface WriteBehind {
  lookup(key: StorageKey): Promise<Uint8Array | undefined>;
  remember(key: StorageKey, bytes: Uint8Array): void;
  /** While any such work is under way nothing is written, unless too much has gathered. */
  during<Result>(work: () => Promise<Result>): Promise<Result>;
  /** Writes everything; what comes afterwards is written at once. */
  close(): Promise<void>;
}

/** Some 30,000 values, or what packing a thousand large packages leaves. */
export const MAX_PENDING_BYTES = 16 << 20;

const AT_ONCE = 8;

export function createWriteBehind(
  store: Pick<BlobStore, "lookup" | "remember">,
  log: Pick<Log, "warn">,
): WriteBehind {
  const pending = new Map<StorageKey, Uint8Array>();
  let pendingBytes = 0;
  let urgent = 0;
  let isClosing = false;
  let writing: Promise<void> | undefined;

  const mayWrite = () => isClosing || urgent === 0 || pendingBytes > MAX_PENDING_BYTES;

  /** A few at a time: there is no hurry, but a storage elsewhere takes its time for each. */
  async function writeAll(): Promise<void> {
    const values = pending.entries();
    const underWay = new Set<StorageKey>();
    const writeSome = async () => {
      for (const [key, bytes] of values) {
        if (!mayWrite()) return;
        // A newer value must not be overtaken by the one before: its turn comes when all are written.
        if (underWay.has(key)) continue;
        underWay.add(key);
        await writeOne(key, bytes);
      }
    };
    const atOnce = isClosing || urgent === 0 ? AT_ONCE : 1;
    await Promise.all(Array.from({ length: atOnce }, writeSome));
  }

  async function writeOne(key: StorageKey, bytes: Uint8Array): Promise<void> {
    try {
      await store.remember(key, bytes);
    } catch (error) {
      log.warn({ err: error, key }, "what can be found out again was not written");
    }
    // Else there is a newer value by now, which has a turn of its own.
    if (pending.get(key) === bytes) forget(key);
  }

  function forget(key: StorageKey): void {
    pendingBytes -= pending.get(key)?.length ?? 0;
    pending.delete(key);
  }

  function write(): Promise<void> {
    writing ??= writeAll().finally(() => {
      writing = undefined;
      if (pending.size > 0 && mayWrite()) void write();
    });
    return writing;
  }

  return {
    lookup: async (key) => pending.get(key) ?? (await store.lookup(key)),
    remember(key, bytes) {
      // A newer value goes to the end of the line.
      forget(key);
      pending.set(key, bytes);
      pendingBytes += bytes.length;
      if (mayWrite()) void write();
    },
    async during(work) {
      urgent += 1;
      try {
        return await work();
      } finally {
        urgent -= 1;
        if (pending.size > 0 && mayWrite()) void write();
      }
    },
    async close() {
      isClosing = true;
      while (pending.size > 0) await write();
    },
  };
}
