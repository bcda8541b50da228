// What follows when a tag moves: the images of it that were pulled in the last days are made at the
// new pin, in the background and one at a time, and given to the edge, so that its pointers move
// without anyone waiting. Until an image is there, its earlier pin answers; what a forge or a cache
// keeps from being made is tried again.

import { isYounger } from "../../registry/between/age.ts";
import type { Tag } from "../../registry/naming/reference.ts";
import type { Log } from "../log/log.ts";
import { recentValues } from "../memory/recent-values.ts";
import { createFailingTags } from "../sources/failing-tags.ts";
import type { PinnedTag } from "../sources/pins.ts";
import {
  createFollower,
  type Follower,
  type Move,
  type RefreshWork,
  type Waiting,
} from "./follow.ts";
import { imageKey, type NamedImage, type Tracked, type TrackedImage } from "./tracked.ts";

export interface Refresh {
  /** Gives it what images are made with; until then a move waits. */
  start(work: RefreshWork): void;
  /** A tag has another pin from now on. What is left of an earlier move of it is given up. */
  moved(tag: Tag, from: PinnedTag, to: PinnedTag): void;
  /** A pull was resolved to a pin. With the first one of a tag, what a shutdown ended is taken up. */
  resolved(tag: Tag, pinned: PinnedTag): void;
  /** The earlier pin that answers while the image is to be made at `to`. */
  standIn(image: NamedImage, to: PinnedTag): PinnedTag | undefined;
  /** Runs a user's pull, before whose end no further image is begun. */
  first<T>(pull: () => Promise<T>): Promise<T>;
  /** Resolves when no user's pull is under way; those who pull without a break it does not wait for. */
  quiet(): Promise<void>;
  /** Resolves when nothing is left to be made. */
  settled(): Promise<void>;
}

export interface RefreshOptions {
  readonly tracked: Tracked;
  readonly log: Log;
  readonly now: () => number;
  /** Aborted when the origin goes down. What is left then is made when it is pulled. */
  readonly signal: AbortSignal;
}

const MAX_TAGS = 1000;
/** Where making all images takes longer, the rest is no longer worth being outdated for. */
const STAND_IN_MS = 1_800_000;
/** Users who pull without a break must not keep the tag's images at an earlier pin. */
const MAX_PAUSE_MS = 30_000;

export function createRefresh(options: RefreshOptions): Refresh {
  const { tracked, log, now, signal } = options;
  const moves = new Map<Tag, Move>();
  const followed = recentValues<true>(MAX_TAGS);
  const hindered = createFailingTags(now);
  let pulls = 0;
  const onQuiet: (() => void)[] = [];
  let follow: Follower | undefined;
  let isRunning = false;
  let running = Promise.resolve();

  async function run(follow: Follower): Promise<void> {
    isRunning = true;
    for (let move = nextMove(); move && !signal.aborted; move = nextMove()) {
      limitStandIns(move, (untilMs) => Math.min(untilMs, now() + STAND_IN_MS));
      const hindrance = await follow(move);
      if (signal.aborted || moves.get(move.tag) !== move) continue;
      if (hindrance === null) end(move);
      else rest(move, hindrance);
    }
    isRunning = false;
  }

  function nextMove(): Move | undefined {
    return [...moves.values()].find(({ tag }) => !hindered.isResting(tag));
  }

  function end({ tag }: Move): void {
    moves.delete(tag);
    hindered.remove(tag);
  }

  /**
   * Until the tag is pulled again after a while. Nothing is being made that would be worth a wait, so
   * the earlier pin answers as long as it takes.
   */
  function rest(move: Move, reason: string): void {
    const { tag, to, waiting } = move;
    for (const [key, { standIn }] of waiting) if (standIn === undefined) waiting.delete(key);
    if (waiting.size === 0) {
      end(move);
      return;
    }
    limitStandIns(move, () => Number.POSITIVE_INFINITY);
    const retrySeconds = hindered.add(tag, reason) / 1000;
    const facts = { tag, pin: to.pin, images: waiting.size, retrySeconds, reason };
    log.warn(facts, "earlier images stay until the new ones can be made");
  }

  /** A user's pull goes first. */
  async function quiet(): Promise<void> {
    if (pulls === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, MAX_PAUSE_MS);
    onQuiet.push(resolve);
    await promise;
    clearTimeout(timer);
  }

  function standInFor(
    tag: Tag,
    image: TrackedImage,
    from: PinnedTag | undefined,
  ): Waiting["standIn"] {
    // An image that waits still is known at the pin before, and not at the one just left.
    const waiting = moves.get(tag)?.waiting.get(imageKey(image));
    if (waiting !== undefined) return waiting.standIn;
    // Pinned by content: whoever edits a local set wants to see what it gives now.
    if (image.pin !== from?.pin || from.pin.startsWith("path-")) return undefined;
    return { pinned: from, untilMs: now() + STAND_IN_MS };
  }

  function limitStandIns({ waiting }: Move, limit: (untilMs: number) => number): void {
    for (const [key, { image, standIn }] of waiting) {
      if (standIn === undefined) continue;
      const { pinned, untilMs } = standIn;
      waiting.set(key, { image, standIn: { pinned, untilMs: limit(untilMs) } });
    }
  }

  function begin(tag: Tag, from: PinnedTag | undefined, to: PinnedTag): void {
    followed.store(tag, true);
    const waiting = new Map(
      tracked
        .of(tag)
        .map((image) => [imageKey(image), { image, standIn: standInFor(tag, image, from) }]),
    );
    moves.get(tag)?.stop();
    moves.delete(tag);
    hindered.remove(tag);
    if (waiting.size === 0) return;
    log.info({ tag, pin: to.pin, images: waiting.size }, "refreshing");
    const replaced = new AbortController();
    const stop = () => replaced.abort();
    const ended = AbortSignal.any([signal, replaced.signal]);
    moves.set(tag, { tag, to, waiting, stop, signal: ended });
    runOn();
  }

  function runOn(): void {
    if (follow !== undefined && !isRunning) running = run(follow);
  }

  return {
    start(work) {
      follow = createFollower({ ...work, tracked, log, now, quiet });
      runOn();
    },
    moved: begin,
    resolved(tag, pinned) {
      if (moves.has(tag)) runOn();
      if (pinned.immutable || followed.lookup(tag)) return;
      followed.store(tag, true);
      if (tracked.of(tag).some(({ pin }) => pin !== pinned.pin)) begin(tag, undefined, pinned);
    },
    standIn(image, to) {
      const move = moves.get(image.tag);
      if (move?.to.pin !== to.pin) return undefined;
      const standIn = move.waiting.get(imageKey(image))?.standIn;
      if (standIn === undefined || isOver(standIn.untilMs, now())) return undefined;
      const whyEarlier = hindered.reasonOf(image.tag);
      return { ...standIn.pinned, ...(whyEarlier !== undefined && { whyEarlier }) };
    },
    async first(pull) {
      pulls += 1;
      try {
        return await pull();
      } finally {
        pulls -= 1;
        if (pulls === 0) for (const resolve of onQuiet.splice(0)) resolve();
      }
    },
    quiet,
    settled: () => running,
  };
}

/** Of a stand-in; with a clock that was set back meanwhile it would last as much longer. */
function isOver(untilMs: number, nowMs: number): boolean {
  if (untilMs === Number.POSITIVE_INFINITY) return false;
  return !isYounger(untilMs - STAND_IN_MS, nowMs, STAND_IN_MS);
}
