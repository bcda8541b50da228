// What is under way, image by image, for those who watch: all work for one image is one feed, looked at once
// a second while anybody watches, and told to all of them at once where something has changed. Watchers make
// nothing wanted: a page left open would keep a build from giving way that no client waits for.

import { isYounger } from "../../registry/between/age.ts";
import { formatEvent, HEARTBEAT } from "../../registry/http/event-stream.ts";
import type { BuildUnderWay } from "../../registry/http/operator-view.ts";
import { isLast, type ProgressEvent } from "../../registry/http/progress.ts";
import { canonicalNames, type NamedRecipe } from "../../registry/naming/recipe.ts";
import type { Tag } from "../../registry/naming/reference.ts";
import { recentValues } from "../memory/recent-values.ts";
import type { ClientKey } from "../waiting/demand.ts";
import type { Stage, Wait } from "../waiting/hold-request.ts";
import { tellStage } from "./told-stage.ts";
import { type Ended, eventOf, type WatchedWork, type WorkEnd } from "./watched-work.ts";
import { openWatcher, type Watcher } from "./watcher.ts";

export interface WatchedName {
  readonly recipe: NamedRecipe;
  readonly tag: Tag;
}

export interface ProgressFeed {
  /** Does the work, and tells whoever watches its image. `endOf` reads what came of it. */
  follow<Result>(
    name: WatchedName,
    wait: Wait,
    work: (wait: Wait) => Promise<Result>,
    endOf: (result: PromiseSettledResult<Result>) => WorkEnd,
  ): Promise<Result>;
  /** Undefined where there are too many watchers already. */
  watch(name: WatchedName, client: ClientKey): ReadableStream<Uint8Array> | undefined;
  /** In the order they came in, and no more of them than a person reads. */
  underWay(): readonly BuildUnderWay[];
  /** Ends all streams: their watchers come back to whoever answers then. */
  close(): void;
}

export interface ProgressFeedOptions {
  readonly now: () => number;
}

export const LOOK_EVERY_MS = 1000;
/** A client is an address, or the network that an edge has signed for: many may sit behind one. */
export const MAX_WATCHERS = { ofImage: 500, ofClient: 200, inAll: 2000 } as const;
/** Proxies end connections on which nothing comes for a minute. */
export const HEARTBEAT_EVERY_MS = 15_000;
/** Who has not read for so long is gone, or as good as. */
export const SLOW_AFTER_MS = 60_000;
/** Who comes a moment late is told what came of it all the same. */
const MAX_ENDED = 200;
const ENDED_FOR_MS = 600_000;
/** Browsers come back after it: to what is under way soon, to what is not seldom. */
const RETRY_MS = { underWay: 3000, ended: 30_000 } as const;

interface Feed {
  readonly key: string;
  readonly beganAtMs: number;
  /** Watchers are told of the first of them. */
  readonly works: Set<{ stage: () => Stage }>;
  readonly watchers: Set<Watcher>;
  /** While nothing is worked on. */
  ended: Ended | undefined;
  told: { readonly text: string; readonly bytes: Uint8Array } | undefined;
  toldAtMs: number;
}

const MAX_UNDER_WAY = 50;

const HEARTBEAT_BYTES = new TextEncoder().encode(HEARTBEAT);

export function createProgressFeed({ now }: ProgressFeedOptions): ProgressFeed {
  const feeds = new Map<string, Feed>();
  const recent = recentValues<Ended>(MAX_ENDED);
  const open = new Set<Watcher>();
  const ofClients = new Map<ClientKey, number>();
  let lastId = 0;
  let timer: NodeJS.Timeout | undefined;

  function feedOf(key: string): Feed {
    const feed: Feed = feeds.get(key) ?? {
      ...{ key, beganAtMs: now(), works: new Set(), watchers: new Set() },
      ...{ ended: undefined, told: undefined, toldAtMs: 0 },
    };
    feeds.set(key, feed);
    return feed;
  }

  function encode({ event, data }: ProgressEvent): Uint8Array {
    lastId += 1;
    const retryMs = event === "stage" ? RETRY_MS.underWay : RETRY_MS.ended;
    return new TextEncoder().encode(formatEvent({ id: lastId, event, data, retryMs }));
  }

  /** Where it has changed it is written once, for all who watch. */
  function look(feed: Feed): void {
    const event = eventOf(workOf(feed), now());
    if (isLast(event)) {
      const last = encode(event);
      for (const watcher of feed.watchers) watcher.end(last);
      feeds.delete(feed.key);
      return;
    }
    const text = JSON.stringify(event.data);
    if (text !== feed.told?.text) {
      feed.told = { text, bytes: encode(event) };
      for (const watcher of feed.watchers) watcher.tell(feed.told.bytes);
    } else if (!isYounger(feed.toldAtMs, now(), HEARTBEAT_EVERY_MS)) {
      for (const watcher of feed.watchers) watcher.remind(HEARTBEAT_BYTES);
    } else return;
    feed.toldAtMs = now();
  }

  function lookAtAll(): void {
    for (const feed of [...feeds.values()]) if (feed.watchers.size > 0) look(feed);
    for (const watcher of [...open]) {
      const sinceMs = watcher.unreadSinceMs();
      if (sinceMs !== undefined && !isYounger(sinceMs, now(), SLOW_AFTER_MS)) watcher.drop();
    }
  }

  function enter(feed: Feed, client: ClientKey): Watcher {
    const watcher = openWatcher({
      now,
      onLeave() {
        open.delete(watcher);
        feed.watchers.delete(watcher);
        // Another may have begun since it ended.
        const isOwn = feeds.get(feed.key) === feed;
        if (isOwn && feed.watchers.size + feed.works.size === 0) feeds.delete(feed.key);
        const left = (ofClients.get(client) ?? 1) - 1;
        if (left === 0) ofClients.delete(client);
        else ofClients.set(client, left);
        if (open.size > 0) return;
        clearInterval(timer);
        timer = undefined;
      },
    });
    open.add(watcher);
    feed.watchers.add(watcher);
    ofClients.set(client, (ofClients.get(client) ?? 0) + 1);
    timer ??= setInterval(lookAtAll, LOOK_EVERY_MS).unref();
    return watcher;
  }

  function isFull(feed: Feed | undefined, client: ClientKey): boolean {
    return (
      open.size >= MAX_WATCHERS.inAll ||
      (feed?.watchers.size ?? 0) >= MAX_WATCHERS.ofImage ||
      (ofClients.get(client) ?? 0) >= MAX_WATCHERS.ofClient
    );
  }

  /** What ended before anybody watched, as long as that is news. */
  function endedLately(key: string): Ended | undefined {
    const ended = recent.lookup(key);
    return ended && isYounger(ended.atMs, now(), ENDED_FOR_MS) ? ended : undefined;
  }

  return {
    async follow(name, wait, work, endOf) {
      const feed = feedOf(keyOf(name));
      feed.ended = undefined;
      const one = { stage: (): Stage => ({ kind: "resolving" }) };
      feed.works.add(one);
      const onStage = (stage: () => Stage) => {
        one.stage = stage;
        wait.onStage(stage);
      };
      const [result] = await Promise.allSettled([work({ ...wait, onStage })]);
      feed.works.delete(one);
      if (feed.works.size === 0) {
        feed.ended = { end: endOf(result), atMs: now() };
        if (feed.ended.end.kind !== "refused") recent.store(feed.key, feed.ended);
        if (feed.watchers.size > 0) look(feed);
        else feeds.delete(feed.key);
      }
      if (result.status === "rejected") throw result.reason;
      return result.value;
    },
    watch(name, client) {
      const key = keyOf(name);
      const known = feeds.get(key);
      if (isFull(known, client)) return undefined;
      const ended = known === undefined ? endedLately(key) : undefined;
      if (known === undefined) {
        const event = ended === undefined ? IDLE : eventOf(endedWork(ended), now());
        if (isLast(event)) return streamOf(encode(asKnown(event)));
      }
      const feed = feedOf(key);
      feed.ended ??= ended;
      const isFirst = feed.watchers.size === 0;
      const watcher = enter(feed, client);
      if (isFirst || feed.told === undefined) {
        feed.told = undefined;
        look(feed);
      } else watcher.tell(feed.told.bytes);
      return watcher.stream;
    },
    underWay() {
      const works = [...feeds.values()].flatMap(({ key: image, works: [first], beganAtMs }) =>
        first === undefined ? [] : [{ image, beganAtMs, first }],
      );
      return works.slice(0, MAX_UNDER_WAY).map(({ image, beganAtMs, first }) => {
        const stage = tellStage(first.stage(), beganAtMs).said;
        return { image: image.replace(/^\//, ""), beganAtMs, stage };
      });
    },
    close() {
      for (const watcher of [...open]) watcher.drop();
    },
  };
}

function keyOf({ recipe, tag }: WatchedName): string {
  return `${recipe.architecture ?? ""}/${canonicalNames(recipe)}:${tag}`;
}

function workOf({ works, ended, beganAtMs }: Feed): WatchedWork {
  const [first] = works;
  if (first !== undefined) return { kind: "under-way", stage: first.stage(), beganAtMs };
  if (ended === undefined) throw new Error("a feed of nothing");
  return { kind: "ended", ended, beganAtMs };
}

function endedWork(ended: Ended): WatchedWork {
  return { kind: "ended", ended, beganAtMs: ended.atMs };
}

const IDLE: ProgressEvent = { event: "idle", data: {} };

/** It was done before anybody watched. */
function asKnown(event: ProgressEvent): ProgressEvent {
  return event.event === "done" ? { ...event, event: "known" } : event;
}

function streamOf(bytes: Uint8Array): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      controller.enqueue(bytes);
      controller.close();
    },
  });
}
