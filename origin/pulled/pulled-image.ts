// An image that was answered, as a note of its pull has it.

import type { PulledImage } from "../../registry/between/pulled-images.ts";
import { canonicalRecipe } from "../../registry/naming/recipe.ts";
import type { Tag } from "../../registry/naming/reference.ts";
import type { BuiltForPlatforms } from "../images/answer.ts";

/** Tells it from every other. */
export function pulledImageKey({ manifests, of }: PulledImage): string {
  return [of?.tag, of?.recipe, of?.pin, of?.packing, ...manifests].join(" ");
}

/** One for each platform. */
export function pulledOf(built: BuiltForPlatforms, tag: Tag): readonly PulledImage[] {
  const builds = built.kind === "image" ? [built] : built.images;
  const { packing, manifest } = built;
  const { pin } = built.pinned;
  return builds.map(({ recipe, built: { image } }) => ({
    manifests: [...new Set([image.manifest.digest, manifest.digest])],
    of: { recipe: canonicalRecipe(recipe), tag, pin, packing },
  }));
}
