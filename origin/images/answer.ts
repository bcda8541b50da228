// What a client gets for a pull, and what it was made of: an image, or an index of images. An answer to
// a pull, an image made anew behind it and an entry of the outbox are all this.

import type { ComposedImage } from "../../registry/image/compose.ts";
import type { OmittedPlatform } from "../../registry/image/image-index.ts";
import type { PackingId } from "../../registry/image/record.ts";
import type { Pin } from "../../registry/naming/pin.ts";
import type { Recipe } from "../../registry/naming/recipe.ts";
import type { PinnedTag } from "../sources/pins.ts";
import type { BuiltImage } from "./images.ts";

export interface TaggedImage extends BuiltImage {
  /** The pin the tag has, where an earlier one answers until the image is made at it. */
  readonly movedTo: Pin | null;
}

export interface PlatformBuild {
  readonly recipe: Recipe;
  readonly built: TaggedImage;
}

/** What a client gets, and what it was made of. */
export type BuiltForPlatforms = Answer &
  (
    | ({ readonly kind: "image" } & PlatformBuild)
    | {
        readonly kind: "index";
        /** What was wanted, in the order of the configuration. */
        readonly recipes: readonly Recipe[];
        /** At least one, all at one pin. */
        readonly images: readonly PlatformBuild[];
      }
  );

interface Answer {
  readonly manifest: ComposedImage["manifest"];
  readonly pinned: PinnedTag;
  /** That of all its images. */
  readonly packing: PackingId;
  /** The pin the tag has, where an earlier one answers meanwhile. */
  readonly movedTo: Pin | null;
  readonly omitted: readonly OmittedPlatform[];
}

/** The answer that a single image is. */
export function oneImage({ recipe, built }: PlatformBuild): BuiltForPlatforms {
  const { image, pinned, packing, movedTo } = built;
  const answer = { manifest: image.manifest, pinned, packing, movedTo, omitted: [] };
  return { kind: "image", recipe, built, ...answer };
}
