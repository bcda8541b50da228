// Follows one move of a tag: its images that wait, one after another, from name to outbox.

import { canonicalRecipe, type PackageName, type System, systemOf } from "../../registry/recipe.ts";
import type { Tag } from "../../registry/reference.ts";
import type { AnsweredImage } from "../backfill/outbox.ts";
import type { Images } from "../images/images.ts";
import type { Lookups } from "../images/lookups.ts";
import { oneImage } from "../images/platform-images.ts";
import type { Log } from "../log.ts";
import { MAX_NAMES_PER_EVALUATION } from "../nix/evaluate.ts";
import type { PinnedTag } from "../sources/pins.ts";
import type { Tracked, TrackedImage } from "./tracked.ts";

export interface RefreshWork {
  readonly lookups: Lookups;
  readonly images: Images;
  /** Gives a made image to the edge, if there is one. */
  readonly give: (image: AnsweredImage) => Promise<void>;
}

export interface Waiting {
  readonly image: TrackedImage;
  readonly standIn: { readonly pinned: PinnedTag; readonly untilMs: number } | undefined;
}

export interface Move {
  readonly tag: Tag;
  readonly to: PinnedTag;
  /** Those that are neither made nor have failed. */
  readonly waiting: Map<string, Waiting>;
  /** Aborted by the next move of the tag, and when the origin goes down. */
  readonly signal: AbortSignal;
  readonly stop: () => void;
}

export interface FollowOptions {
  readonly tracked: Tracked;
  readonly log: Log;
  readonly now: () => number;
  /** Resolves when the next step may begin. */
  readonly quiet: () => Promise<void>;
}

export function createFollower(
  options: FollowOptions & RefreshWork,
): (move: Move) => Promise<void> {
  const { tracked, log, now, quiet, lookups, images, give } = options;

  async function follow(move: Move): Promise<void> {
    const { tag, to, waiting } = move;
    const startedMs = now();
    const count = waiting.size;
    let made = 0;
    try {
      await lookUpAll(move);
      for (const [key, { image }] of waiting) {
        await quiet();
        if (move.signal.aborted) break;
        if (await make(move, image)) made += 1;
        waiting.delete(key);
      }
    } catch (error) {
      if (!move.signal.aborted) log.error({ err: error, tag, pin: to.pin }, "a refresh failed");
    }
    log.info({ tag, pin: to.pin, images: count, made, ms: now() - startedMs }, "refreshed");
  }

  /** All names of all images in one evaluation. An image without all its packages is given up. */
  async function lookUpAll(move: Move): Promise<void> {
    const { tag, to, waiting } = move;
    const open = [...waiting].map(([key, { image }]) => ({ key, recipe: image.recipe }));
    for (const [architecture, group] of Map.groupBy(open, (each) => each.recipe.architecture)) {
      const names = [...new Set(group.flatMap(({ recipe }) => recipe.packages))];
      const reasons = await reasonsAgainst(names, systemOf(architecture), move);
      for (const { key, recipe } of group) {
        const missing = recipe.packages.filter((name) => reasons.has(name));
        if (missing.length === 0) continue;
        waiting.delete(key);
        const reason = missing.map((name) => `${name}: ${reasons.get(name)}`).join(", ");
        log.warn({ recipe: canonicalRecipe(recipe), tag, pin: to.pin, reason }, "not refreshed");
      }
    }
  }

  /** Why names are no packages at the new pin, for those that are none. */
  async function reasonsAgainst(
    names: readonly PackageName[],
    system: System,
    { to, signal: wanted }: Move,
  ): Promise<ReadonlyMap<PackageName, string>> {
    const reasons = new Map<PackageName, string>();
    // More names than one process takes are questions of their own, each with the whole deadline.
    for (let start = 0; start < names.length; start += MAX_NAMES_PER_EVALUATION) {
      const batch = names.slice(start, start + MAX_NAMES_PER_EVALUATION);
      await quiet();
      for (const { name, lookup } of await lookups.find(to, system, batch, wanted)) {
        if (lookup.kind !== "found") reasons.set(name, lookup.kind);
      }
    }
    return reasons;
  }

  async function make({ tag, to, signal: wanted }: Move, image: TrackedImage): Promise<boolean> {
    const { recipe, variant } = image;
    const facts = { recipe: canonicalRecipe(recipe), tag, pin: to.pin };
    try {
      const built = await images.build(recipe, to, variant, { signal: wanted, onStage: () => {} });
      if (built.kind !== "built") {
        log.warn({ ...facts, reason: built.kind }, "not refreshed");
        return false;
      }
      await give({
        tag,
        variant,
        answered: oneImage({ recipe, built: { ...built, movedTo: null } }),
      });
      tracked.made(image, to.pin);
      return true;
    } catch (error) {
      if (!wanted.aborted) log.error({ ...facts, err: error }, "not refreshed");
      return false;
    }
  }

  return follow;
}
