// What an edge tells its origin of the pulls that it answers by itself, so that these count as well where a
// collector decides what goes. Lost ones cost a sample: an image in use is told of again and again.

import * as v from "valibot";
import { digestSchema, type PackingId, packingIdSchema } from "../image/record.ts";
import type { Digest } from "../naming/digest.ts";
import { type Pin, pinSchema } from "../naming/pin.ts";
import { MAX_NAME_LENGTH } from "../naming/recipe.ts";
import type { Tag } from "../naming/reference.ts";
import { tagSchema } from "./backfill.ts";

/** An image of one platform that was answered: what it takes to tell all that it needs of a storage. */
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

export interface PulledBody {
  readonly images: readonly PulledImage[];
}

/** An isolate tells no more often, and of each image no more often. */
export const TELL_AFTER_MS = 60_000;
export const TELL_AGAIN_MS = 1_800_000;
export const MAX_PULLED_PER_BODY = 256;
/** A recipe of the longest names, for each. */
export const MAX_PULLED_BODY_BYTES = 1024 * 1024;

export const pulledImageSchema: v.GenericSchema<unknown, PulledImage> = v.object({
  manifests: v.pipe(v.array(digestSchema), v.maxLength(8)),
  of: v.nullable(
    v.object({
      recipe: v.pipe(v.string(), v.maxLength(2 * MAX_NAME_LENGTH)),
      tag: v.nullable(tagSchema),
      pin: pinSchema,
      packing: packingIdSchema,
    }),
  ),
});

export const pulledBodySchema: v.GenericSchema<unknown, PulledBody> = v.object({
  images: v.pipe(v.array(pulledImageSchema), v.maxLength(MAX_PULLED_PER_BODY)),
});
