// Images of what is stored, and nothing else: no name is looked up, no package built, nothing packed.

import { type CanonicalImage, canonicalImageOf } from "../../registry/image/canonical.ts";
import { type ComposedImage, compose } from "../../registry/image/compose.ts";
import { isFound } from "../../registry/image/lookup.ts";
import type { PackingId } from "../../registry/image/record.ts";
import { VARIANT_TYPES, type Variant } from "../../registry/image/variant.ts";
import type { Pin } from "../../registry/naming/pin.ts";
import { namesOf, type Recipe, systemOf } from "../../registry/naming/recipe.ts";
import type { BuildFailure } from "../failures/failures.ts";
import { lookupFailure } from "./images.ts";
import type { Lookups } from "./lookups.ts";
import type { Records } from "./records.ts";

export interface KnownImages {
  /** What all names of a recipe lead to at a pin, or why not; undefined as soon as one is unknown. */
  names(recipe: Recipe, pin: Pin): Promise<KnownNames | undefined>;
  /** Undefined where a record is not there, or not with the layers that the image takes. */
  compose(image: CanonicalImage, variant: Variant): Promise<KnownImage | undefined>;
}

export interface KnownImage extends ComposedImage {
  readonly packing: PackingId;
}

export type KnownNames =
  | { readonly kind: "found"; readonly image: CanonicalImage }
  | { readonly kind: "failed"; readonly failure: BuildFailure };

export interface KnownImagesOptions {
  readonly lookups: Pick<Lookups, "known">;
  readonly records: Pick<Records, "known" | "packings">;
}

export function createKnownImages({ lookups, records }: KnownImagesOptions): KnownImages {
  return {
    async names(recipe, pin) {
      const system = systemOf(recipe.architecture);
      const known = await lookups.known(pin, system, namesOf(recipe));
      if (known === undefined) return undefined;
      const failure = lookupFailure(recipe, known);
      if (failure !== undefined) return { kind: "failed", failure };
      const asked = known.flatMap(({ name, lookup }) =>
        isFound(lookup) ? [{ name, found: lookup }] : [],
      );
      return { kind: "found", image: canonicalImageOf(recipe, asked) };
    },
    async compose({ recipe, ingredients }, variant) {
      const { form } = VARIANT_TYPES[variant];
      const known = await records.known(ingredients, form);
      if (known === undefined) return undefined;
      const composed = await compose(recipe, ingredients, known, variant);
      return composed.kind === "image"
        ? { ...composed.image, packing: records.packings[form] }
        : undefined;
    },
  };
}
