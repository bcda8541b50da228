// Images by tag: the pin the tag has, or the one before while the image is still to be made at it, or
// while the package set does not load at it.

import type { Variant } from "../../registry/image/variant.ts";
import type { Pin } from "../../registry/naming/pin.ts";
import type { Recipe } from "../../registry/naming/recipe.ts";
import type { Tag } from "../../registry/naming/reference.ts";
import { type BuildFailure, failureError } from "../failures/failures.ts";
import type { TaggedImage } from "../images/answer.ts";
import type { ImageResult, Images } from "../images/images.ts";
import { rememberFailures } from "../memory/failure-memory.ts";
import type { SetFailed } from "../nix/look-up.ts";
import type { Refresh } from "../refresh/refresh.ts";
import type { PinnedTag, Pins } from "../sources/pins.ts";
import type { Stage, Wait } from "../waiting/hold-request.ts";

export interface TaggedImages {
  /**
   * One result per recipe, in order, all at one pin and built at the same time. Rejects with the
   * reason of the demand's signal when that is aborted.
   */
  build(
    recipes: readonly Recipe[],
    tag: Tag,
    variant: Variant,
    wait: Wait,
  ): Promise<readonly TaggedResult[]>;
}

export type TaggedResult = TaggedImage | BuildFailure;

export interface TaggedImagesOptions {
  readonly pins: Pins;
  readonly images: Images;
  readonly refresh: Refresh;
  readonly now: () => number;
}

const UNLOADED_MS = 30_000;

export function createTaggedImages(options: TaggedImagesOptions): TaggedImages {
  const { pins, images, refresh, now } = options;
  /** By pin, so that not every pull evaluates what does not load. */
  const unloaded = rememberFailures<SetFailed>({ forMs: UNLOADED_MS, now });

  async function build(recipes: readonly Recipe[], tag: Tag, variant: Variant, wait: Wait) {
    wait.onStage(() => ({ kind: "resolving" }));
    const pinned = await pins.resolve(tag);
    if (pinned.kind !== "pinned") return recipes.map(() => pinned);
    refresh.resolved(tag, pinned);
    // An image that is made already was made at the earlier pin too, so all can answer at that.
    const [standIn] = recipes.flatMap(
      (recipe) => refresh.standIn({ recipe, tag, variant }, pinned) ?? [],
    );
    if (standIn !== undefined) {
      const built = await buildAt(standIn, recipes, variant, wait);
      if (built.some(({ kind }) => kind === "built")) return withMove(built, pinned.pin);
    }
    const stale = unloaded.lookup(pinned.pin);
    const early = stale && (await buildEarlier(pinned, stale));
    if (early !== undefined) return early;
    const built = await buildAt(pinned, recipes, variant, wait);
    const broken = built.find((each) => each.kind === "set-failed");
    if (broken !== undefined) {
      unloaded.store(pinned.pin, broken);
      return (await buildEarlier(pinned, broken)) ?? withMove(built, null);
    }
    if (pinned.immutable) return withMove(built, null);
    if (built.some(isOfSet)) await pins.loads(tag, pinned.pin);
    return withMove(built, null);

    /** At the revision that was last seen to load; undefined where there is none, or no image at it. */
    async function buildEarlier(newest: PinnedTag, failure: SetFailed) {
      const last = newest.immutable ? undefined : await pins.lastLoading(tag);
      if (last === undefined || last.pin === newest.pin) return undefined;
      const earlier = { ...last, whyEarlier: failureError(failure).message };
      const made = await buildAt(earlier, recipes, variant, wait);
      return made.some(({ kind }) => kind === "built") ? withMove(made, newest.pin) : undefined;
    }
  }

  /** What is waited for is told of the first that is not there yet. */
  function buildAt(
    pinned: PinnedTag,
    recipes: readonly Recipe[],
    variant: Variant,
    { demand, onStage }: Wait,
  ): Promise<readonly ImageResult[]> {
    const stages = new Map<Recipe, () => Stage>();
    const first = (): Stage => stages.values().next().value?.() ?? { kind: "looking-up" };
    return Promise.all(
      recipes.map(async (recipe) => {
        const note = (stage: () => Stage) => {
          stages.set(recipe, stage);
          onStage(first);
        };
        const result = await images.build(recipe, pinned, variant, { demand, onStage: note });
        stages.delete(recipe);
        return result;
      }),
    );
  }

  return {
    build: (recipes, tag, variant, wait) => refresh.first(() => build(recipes, tag, variant, wait)),
  };
}

/** Whether the set was loaded for it. */
function isOfSet({ kind }: ImageResult): boolean {
  return kind === "built" || kind === "packages-failed";
}

function withMove(built: readonly ImageResult[], movedTo: Pin | null): readonly TaggedResult[] {
  return built.map((each) => (each.kind === "built" ? { ...each, movedTo } : each));
}
