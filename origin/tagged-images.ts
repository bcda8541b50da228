// Images by tag: the pin the tag has, or the one before while the image is still to be made at it.

import type { Pin } from "../registry/pin.ts";
import type { Recipe } from "../registry/recipe.ts";
import type { Tag } from "../registry/reference.ts";
import type { Variant } from "../registry/variant.ts";
import type { BuildFailure } from "./failures.ts";
import type { Wait } from "./hold.ts";
import type { BuiltImage, Images } from "./images.ts";
import type { Refresh } from "./refresh/refresh.ts";
import type { Tracked } from "./refresh/tracked.ts";
import type { Pins } from "./sources/pins.ts";

export interface TaggedImage extends BuiltImage {
  /** The pin the tag has, where an earlier one answers until the image is made at it. */
  readonly movedTo: Pin | null;
}

export interface TaggedImages {
  /** Rejects with the reason of the wait's signal when that is aborted. */
  build(
    recipe: Recipe,
    tag: Tag,
    variant: Variant,
    wait: Wait,
  ): Promise<TaggedImage | BuildFailure>;
}

export interface TaggedImagesOptions {
  readonly pins: Pins;
  readonly images: Images;
  readonly refresh: Refresh;
  readonly tracked: Tracked;
}

export function createTaggedImages(options: TaggedImagesOptions): TaggedImages {
  const { pins, images, refresh, tracked } = options;

  async function build(recipe: Recipe, tag: Tag, variant: Variant, wait: Wait) {
    const pinned = await pins.resolve(tag);
    if (pinned.kind !== "pinned") return pinned;
    const name = { recipe, tag, variant };
    const standIn = refresh.standIn(name, pinned);
    if (standIn !== undefined) {
      const built = await images.build(recipe, standIn, variant, wait);
      if (built.kind === "built") return { ...built, movedTo: pinned.pin };
    }
    const built = await images.build(recipe, pinned, variant, wait);
    if (built.kind !== "built") return built;
    if (!pinned.immutable) tracked.pulled(name, pinned.pin);
    return { ...built, movedTo: null };
  }

  return {
    build: (recipe, tag, variant, wait) => refresh.first(() => build(recipe, tag, variant, wait)),
  };
}
