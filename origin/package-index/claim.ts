// Who makes an index, of all processes that have the same storage: whoever writes its name there last, for
// as long as it goes on writing. No clock of another machine counts: a claim is over when whoever waits has
// seen no change of it for a while. Two that take one over at once both work until the next look, which
// costs time and nothing else.

import { randomUUID } from "node:crypto";
import { setTimeout } from "node:timers/promises";
import type { BlobStore } from "../storage/blob-store.ts";
import type { StorageKey } from "../storage/keys.ts";
import { storedJson } from "../storage/stored-json.ts";

export interface Claim {
  /** Whether nobody else has taken it meanwhile. */
  isOwn(): Promise<boolean>;
  release(): Promise<void>;
}

export interface ClaimTimes {
  readonly renewEveryMs: number;
  /** Without a change for so long it is over. */
  readonly overAfterMs: number;
  readonly lookEveryMs: number;
}

export const CLAIM_TIMES: ClaimTimes = {
  ...{ renewEveryMs: 4000, overAfterMs: 15_000, lookEveryMs: 2000 },
};

export interface ClaimOptions {
  readonly store: Pick<BlobStore, "lookup" | "create" | "remember" | "remove">;
  readonly key: StorageKey;
  readonly times?: ClaimTimes;
  /** Monotonic. */
  readonly nowMs?: () => number;
  /** Called once, when there is someone to wait for. */
  readonly onWait?: () => void;
  readonly signal: AbortSignal;
}

/** Waits for another's to be over; rejects with the signal's reason. */
export async function openClaim(options: ClaimOptions): Promise<Claim> {
  const { store, key, signal, times = CLAIM_TIMES, nowMs = () => performance.now() } = options;
  const id = randomUUID();
  let renewals = 0;
  const written = () => storedJson({ id, renewals });
  let seen = { text: "", atMs: nowMs() };
  for (;;) {
    signal.throwIfAborted();
    if (await store.create(key, written())) break;
    const text = textOf(await store.lookup(key));
    if (text !== seen.text) {
      if (seen.text === "" && text !== "") options.onWait?.();
      seen = { text, atMs: nowMs() };
    }
    if (nowMs() - seen.atMs >= times.overAfterMs) {
      await store.remove(key);
      continue;
    }
    await setTimeout(times.lookEveryMs, undefined, { signal }).catch(() => signal.throwIfAborted());
  }
  const isOwn = async () => textOf(await store.lookup(key)).includes(id);
  const renew = setInterval(async () => {
    try {
      renewals += 1;
      if (await isOwn()) await store.remember(key, written());
    } catch {
      // Then another may take it over.
    }
  }, times.renewEveryMs);
  renew.unref();
  return {
    isOwn,
    async release() {
      clearInterval(renew);
      if (await isOwn()) await store.remove(key);
    },
  };
}

function textOf(bytes: Uint8Array | undefined): string {
  return bytes === undefined ? "" : Buffer.from(bytes).toString();
}
