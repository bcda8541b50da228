// The outbox: images and package indexes that the edge has yet to be given, on disk from before a client is answered
// until the edge has everything. One image at a time, oldest first; an image the edge refuses waits
// behind the others. A lost entry costs latency later, never correctness.

import type { LayersDone } from "../../registry/http/building.ts";
import type { OutboxState } from "../../registry/http/operator-view.ts";
import type { Log } from "../log/log.ts";
import { recentValues } from "../memory/recent-values.ts";
import type { Backfill } from "../progress/watched-work.ts";
import type { BlobStore } from "../storage/blob-store.ts";
import type { StorageKey } from "../storage/keys.ts";
import { storedJson } from "../storage/stored-json.ts";
import {
  type AnsweredImage,
  entryOf,
  factsOf,
  type OutboxEntry,
  outboxKeyOf,
  type PackageIndexEntry,
  parseOutboxEntry,
  sameAs,
} from "./entry.ts";
import type { Pusher, PushOutcome } from "./push.ts";

export interface Outbox {
  /** Never fails. What it returns tells how far the edge has the image. */
  add(image: AnsweredImage): Promise<Backfill>;
  /** The same, when its root is stored. */
  addIndex(index: PackageIndexEntry): Promise<Backfill>;
  state(): OutboxState;
  /** Resolves when nothing waits any more. */
  drained(): Promise<void>;
  close(): Promise<void>;
}

export interface OutboxOptions {
  readonly store: BlobStore;
  readonly push: Pusher;
  readonly log: Log;
  readonly firstRetryMs?: number;
}

const FIRST_RETRY_MS = 500;
const MAX_RETRY_MS = 60_000;
/** Beyond this many the oldest give way: the edge asks again for what it lacks. */
const MAX_WAITING = 10_000;
const MAX_PUSHED_IN_MEMORY = 10_000;

/** An edge that still asks for what it was given has lost it, and is given it again. */
const REPEAT_AFTER_MS = 30_000;

interface Pushed {
  readonly entry: OutboxEntry;
  readonly atMs: number;
}

interface Waiting {
  readonly entry: OutboxEntry;
  failures: number;
  notBeforeMs: number;
  /** Of the attempt under way, or the last. */
  layers?: LayersDone;
  outcome?: Exclude<PushOutcome["kind"], "retry">;
}

/** Opens the outbox with what an earlier process left in it, and starts to empty it. */
export async function openOutbox(options: OutboxOptions): Promise<Outbox> {
  const { store, push, log } = options;
  const firstRetryMs = options.firstRetryMs ?? FIRST_RETRY_MS;
  const waiting = await load(store, log);
  const pushed = recentValues<Pushed>(MAX_PUSHED_IN_MEMORY);
  const drainedWaiters: (() => void)[] = [];
  let closed = false;
  let wake = () => {};
  const running = run();

  async function run(): Promise<void> {
    while (!closed) {
      const due = nextDue(waiting);
      if (due === undefined) {
        for (const resolve of drainedWaiters.splice(0)) resolve();
        await sleep(null);
      } else if (due[1].notBeforeMs > performance.now()) {
        await sleep(due[1].notBeforeMs - performance.now());
      } else {
        await pushOne(...due);
      }
    }
  }

  async function pushOne(key: StorageKey, item: Waiting): Promise<void> {
    const outcome = await attempt(item);
    if (outcome.kind === "retry") {
      if (closed) return;
      item.failures += 1;
      const delayMs = Math.min(firstRetryMs * 2 ** (item.failures - 1), MAX_RETRY_MS);
      item.notBeforeMs = performance.now() + delayMs;
      log.warn({ ...factsOf(item.entry), reason: outcome.reason, delayMs }, "backfill waits");
      return;
    }
    item.outcome = outcome.kind;
    if (outcome.kind === "dropped") {
      log.warn({ ...factsOf(item.entry), reason: outcome.reason }, "backfill dropped");
    } else {
      pushed.store(key, { entry: item.entry, atMs: performance.now() });
      log.info({ ...factsOf(item.entry), uploads: outcome.uploads }, "backfilled");
    }
    // A newer entry of the same image may have taken its place meanwhile.
    if (waiting.get(key) === item) {
      waiting.delete(key);
      await forget(key);
    }
  }

  /** What stays on disk is pushed once more with the next start. */
  async function forget(key: StorageKey): Promise<void> {
    try {
      await store.remove(key);
    } catch (error) {
      log.warn({ err: error, key }, "an entry of the outbox is still on disk");
    }
  }

  /** A bug in pushing one image must not keep the others from being pushed. */
  async function attempt(item: Waiting): Promise<PushOutcome> {
    const { entry } = item;
    try {
      return await push(entry, (layers) => {
        item.layers = layers;
      });
    } catch (error) {
      log.error({ err: error, ...factsOf(entry) }, "a push failed");
      return { kind: "retry", reason: String(error) };
    }
  }

  function wasPushed(key: StorageKey, entry: OutboxEntry): boolean {
    const last = pushed.lookup(key);
    const isRecent = last !== undefined && performance.now() - last.atMs < REPEAT_AFTER_MS;
    return isRecent && sameAs(last.entry, entry);
  }

  function sleep(ms: number | null): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = ms === null ? undefined : setTimeout(resolve, ms);
    wake = () => {
      clearTimeout(timer);
      resolve();
    };
    return promise;
  }

  return {
    add: (image) => put(entryOf(image)),
    addIndex: put,
    state() {
      const all = [...waiting.values()];
      const times = all.map(({ entry }) => entry.resolvedAtMs);
      return {
        waiting: all.length,
        failing: all.filter(({ failures }) => failures > 0).length,
        oldestResolvedAtMs: times.length === 0 ? null : Math.min(...times),
      };
    },
    drained() {
      if (waiting.size === 0) return Promise.resolve();
      const { promise, resolve } = Promise.withResolvers<void>();
      drainedWaiters.push(resolve);
      return promise;
    },
    async close() {
      closed = true;
      wake();
      await running;
    },
  };

  async function put(entry: OutboxEntry): Promise<Backfill> {
    const key = outboxKeyOf(entry);
    const known = waiting.get(key);
    if (known === undefined && wasPushed(key, entry)) return () => ({ kind: "over", edge: "all" });
    if (known !== undefined && sameAs(known.entry, entry)) return () => stateOf(known);
    const item: Waiting = { entry, failures: 0, notBeforeMs: 0 };
    // Before it is on disk, so that the end of an older push does not take the newer file away.
    waiting.delete(key);
    waiting.set(key, item);
    try {
      await store.store(key, storedJson(entry));
    } catch (error) {
      // What is stored is answered whatever the disk has room for: a kill would lose this entry.
      log.error({ err: error, ...factsOf(entry) }, "an entry of the outbox is not on disk");
    }
    if (!waiting.has(key)) await forget(key);
    await dropOldest();
    wake();
    return () => stateOf(waiting.get(key) ?? item);
  }

  async function dropOldest(): Promise<void> {
    const [oldest] = waiting.keys();
    if (waiting.size <= MAX_WAITING || oldest === undefined) return;
    waiting.delete(oldest);
    await forget(oldest);
    log.warn({ key: oldest }, "the outbox is full: its oldest entry is given up");
  }
}

/** Once the edge has refused it, or cannot be reached, nobody knows when it will have it. */
function stateOf({ outcome, failures, layers }: Waiting): ReturnType<Backfill> {
  if (outcome === "pushed") return { kind: "over", edge: "all" };
  if (outcome === "dropped" || failures > 0) return { kind: "over", edge: "not-yet" };
  return { kind: "under-way", stage: { kind: "backfilling", ...(layers && { layers }) } };
}

/** The first that may go now, else the one that may go soonest. */
function nextDue(waiting: ReadonlyMap<StorageKey, Waiting>): [StorageKey, Waiting] | undefined {
  let soonest: [StorageKey, Waiting] | undefined;
  for (const [key, item] of waiting) {
    if (item.notBeforeMs <= performance.now()) return [key, item];
    if (soonest === undefined || item.notBeforeMs < soonest[1].notBeforeMs) soonest = [key, item];
  }
  return soonest;
}

async function load(store: BlobStore, log: Log): Promise<Map<StorageKey, Waiting>> {
  const loaded: [StorageKey, OutboxEntry][] = [];
  for await (const { key } of store.list("outbox/")) {
    const bytes = await store.lookup(key);
    const entry = bytes === undefined ? undefined : parseOutboxEntry(bytes);
    if (entry !== undefined) {
      loaded.push([key, entry]);
    } else {
      log.warn({ key }, "an unreadable outbox entry is removed");
      await store.remove(key);
    }
  }
  loaded.sort(([, a], [, b]) => a.resolvedAtMs - b.resolvedAtMs);
  return new Map(loaded.map(([key, entry]) => [key, { entry, failures: 0, notBeforeMs: 0 }]));
}
