// An image that was answered, as a note of its pull has it: what it takes to tell all that it needs of the
// storage.

import * as v from "valibot";
import { tagSchema } from "../../registry/between/backfill.ts";
import { digestSchema, type PackingId, packingIdSchema } from "../../registry/image/record.ts";
import type { Digest } from "../../registry/naming/digest.ts";
import { type Pin, pinSchema } from "../../registry/naming/pin.ts";
import { canonicalRecipe } from "../../registry/naming/recipe.ts";
import type { Tag } from "../../registry/naming/reference.ts";
import type { BuiltForPlatforms } from "../images/answer.ts";

export interface PulledImage {
  /** Under which it was answered: of an image its manifest, and the index that names it. */
  readonly manifests: readonly Digest[];
  /** Null of a manifest that was asked for by its digest, and is kept. */
  readonly of: ImageSource | null;
}

/** What an image is composed of. */
export interface ImageSource {
  /** With the names as they were asked, by which the lookups are stored. */
  readonly recipe: string;
  /** Null where it was asked for by its digest. */
  readonly tag: Tag | null;
  readonly pin: Pin;
  readonly packing: PackingId;
}

export const pulledImageSchema: v.GenericSchema<unknown, PulledImage> = v.object({
  manifests: v.array(digestSchema),
  of: v.nullable(
    v.object({
      recipe: v.string(),
      tag: v.nullable(tagSchema),
      pin: pinSchema,
      packing: packingIdSchema,
    }),
  ),
});

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
