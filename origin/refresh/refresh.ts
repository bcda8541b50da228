// What follows when a tag moves: the images of it that were pulled in the last days are made at the
// new pin, in the background and one at a time, and given to the edge, so that its pointers move
// without anyone waiting. Until an image is there, its earlier pin answers.

import { canonicalRecipe, systemOf } from "../../registry/recipe.ts";
import type { Tag } from "../../registry/reference.ts";
import type { AnsweredImage } from "../backfill/outbox.ts";
import type { Images } from "../images.ts";
import type { Log } from "../log.ts";
import type { Lookups } from "../lookups.ts";
import { oneImage } from "../platform-images.ts";
import { recentValues } from "../recent.ts";
import type { PinnedTag } from "../sources/pins.ts";
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
  /** Resolves when nothing is left to be made. */
  settled(): Promise<void>;
}

export interface RefreshWork {
  readonly lookups: Lookups;
  readonly images: Images;
  /** Gives a made image to the edge, if there is one. */
  readonly give: (image: AnsweredImage) => Promise<void>;
}

export interface RefreshOptions {
  readonly tracked: Tracked;
  readonly log: Log;
  readonly now: () => number;
  /** Aborted when the origin goes down. What is left then is made when it is pulled. */
  readonly signal: AbortSignal;
}

interface Waiting {
  readonly image: TrackedImage;
  readonly standIn: { readonly pinned: PinnedTag; readonly untilMs: number } | undefined;
}

interface Move {
  readonly tag: Tag;
  readonly to: PinnedTag;
  readonly waiting: Map<string, Waiting>;
  /** Aborted by the next move of the tag, and when the origin goes down. */
  readonly signal: AbortSignal;
  readonly stop: () => void;
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
  let pulls = 0;
  let onQuiet = () => {};
  let work: RefreshWork | undefined;
  let isRunning = false;
  let running = Promise.resolve();

  async function run(work: RefreshWork): Promise<void> {
    isRunning = true;
    for (let [move] = moves.values(); move && !signal.aborted; [move] = moves.values()) {
      await follow(move, work);
      if (moves.get(move.tag) === move) moves.delete(move.tag);
    }
    isRunning = false;
  }

  async function follow(move: Move, work: RefreshWork): Promise<void> {
    const { tag, to, waiting } = move;
    const startedMs = now();
    const count = waiting.size;
    let made = 0;
    try {
      await quiet();
      await lookUpAll(move, work.lookups);
      for (const [key, { image }] of waiting) {
        await quiet();
        if (move.signal.aborted) break;
        if (await make(move, image, work)) made += 1;
        waiting.delete(key);
      }
    } catch (error) {
      if (!move.signal.aborted) log.error({ err: error, tag, pin: to.pin }, "a refresh failed");
    }
    log.info({ tag, pin: to.pin, images: count, made, ms: now() - startedMs }, "refreshed");
  }

  /** All names of all images in one evaluation. An image without all its packages is given up. */
  async function lookUpAll(
    { tag, to, waiting, signal: wanted }: Move,
    lookups: Lookups,
  ): Promise<void> {
    const open = [...waiting].map(([key, { image }]) => ({ key, recipe: image.recipe }));
    for (const [architecture, group] of Map.groupBy(open, (each) => each.recipe.architecture)) {
      const names = [...new Set(group.flatMap(({ recipe }) => recipe.packages))];
      const found = await lookups.find(to, systemOf(architecture), names, wanted);
      const reasons = new Map(
        found.flatMap(({ name, lookup }) =>
          lookup.kind === "found" ? [] : [[name, lookup.kind] as const],
        ),
      );
      for (const { key, recipe } of group) {
        const missing = recipe.packages.filter((name) => reasons.has(name));
        if (missing.length === 0) continue;
        waiting.delete(key);
        const reason = missing.map((name) => `${name}: ${reasons.get(name)}`).join(", ");
        log.warn({ recipe: canonicalRecipe(recipe), tag, pin: to.pin, reason }, "not refreshed");
      }
    }
  }

  async function make(
    { tag, to, signal: wanted }: Move,
    image: TrackedImage,
    { images, give }: RefreshWork,
  ): Promise<boolean> {
    const { recipe, variant } = image;
    const facts = { recipe: canonicalRecipe(recipe), tag, pin: to.pin };
    try {
      const built = await images.build(recipe, to, variant, { signal: wanted, onStage: () => {} });
      if (built.kind !== "built") {
        log.warn({ ...facts, reason: built.kind }, "not refreshed");
        return false;
      }
      await give({ tag, variant, answered: oneImage({ recipe, built }) });
      tracked.made(image, to.pin);
      return true;
    } catch (error) {
      if (!wanted.aborted) log.error({ ...facts, err: error }, "not refreshed");
      return false;
    }
  }

  /** A user's pull goes first. */
  async function quiet(): Promise<void> {
    if (pulls === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, MAX_PAUSE_MS);
    onQuiet = resolve;
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

  function begin(tag: Tag, from: PinnedTag | undefined, to: PinnedTag): void {
    followed.store(tag, true);
    const waiting = new Map(
      tracked
        .of(tag)
        .map((image) => [imageKey(image), { image, standIn: standInFor(tag, image, from) }]),
    );
    moves.get(tag)?.stop();
    moves.delete(tag);
    if (waiting.size === 0) return;
    log.info({ tag, pin: to.pin, images: waiting.size }, "refreshing");
    const replaced = new AbortController();
    const stop = () => replaced.abort();
    const ended = AbortSignal.any([signal, replaced.signal]);
    moves.set(tag, { tag, to, waiting, stop, signal: ended });
    runOn();
  }

  function runOn(): void {
    if (work !== undefined && !isRunning) running = run(work);
  }

  return {
    start(given) {
      work = given;
      runOn();
    },
    moved: begin,
    resolved(tag, pinned) {
      if (pinned.immutable || followed.lookup(tag)) return;
      followed.store(tag, true);
      if (tracked.of(tag).some(({ pin }) => pin !== pinned.pin)) begin(tag, undefined, pinned);
    },
    standIn(image, to) {
      const move = moves.get(image.tag);
      if (move?.to.pin !== to.pin) return undefined;
      const standIn = move.waiting.get(imageKey(image))?.standIn;
      return standIn !== undefined && now() < standIn.untilMs ? standIn.pinned : undefined;
    },
    async first(pull) {
      pulls += 1;
      try {
        return await pull();
      } finally {
        pulls -= 1;
        if (pulls === 0) onQuiet();
      }
    },
    settled: () => running,
  };
}
