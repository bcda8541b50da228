// Images of what is stored, and nothing else: no name is looked up, no package built, nothing packed.

import { type CanonicalImage, canonicalImageOf } from "../../registry/image/canonical.ts";
import { type ComposedImage, compose } from "../../registry/image/compose.ts";
import type { KnownForm } from "../../registry/image/image-facts.ts";
import { isFound } from "../../registry/image/lookup.ts";
import type { Ingredient } from "../../registry/image/part.ts";
import { FORMS, type PackingId } from "../../registry/image/record.ts";
import { VARIANT_TYPES, type Variant, WIDEST_FIRST } from "../../registry/image/variant.ts";
import type { Pin } from "../../registry/naming/pin.ts";
import { namesOf, type Recipe, systemOf } from "../../registry/naming/recipe.ts";
import type { BuildFailure } from "../failures/failures.ts";
import { askedFor, failureOf, lookupFailure, settled } from "./images.ts";
import type { Lookups } from "./lookups.ts";
import type { Records } from "./records.ts";

export interface KnownImages {
  /** What all names of a recipe lead to at a pin, or why not; undefined as soon as one is unknown. */
  names(recipe: Recipe, pin: Pin): Promise<KnownNames | undefined>;
  /** All that is known of an image, in each form; or why it cannot be had; undefined where neither is known. */
  state(recipe: Recipe, pin: Pin): Promise<KnownState | undefined>;
  /** Undefined where a record is not there, or not with the layers that the image takes. */
  compose(image: CanonicalImage, variant: Variant): Promise<KnownImage | undefined>;
}

export interface KnownImage extends ComposedImage {
  readonly packing: PackingId;
}

export type KnownNames =
  | { readonly kind: "found"; readonly image: CanonicalImage }
  | { readonly kind: "failed"; readonly failure: BuildFailure };

type AskedNames =
  | { readonly kind: "found"; readonly ingredients: readonly Ingredient[] }
  | { readonly kind: "failed"; readonly failure: BuildFailure };

type Forms =
  | { readonly kind: "forms"; readonly forms: readonly KnownForm[] }
  | { readonly kind: "failed"; readonly failure: BuildFailure };

export type KnownState =
  | {
      readonly kind: "known";
      readonly image: CanonicalImage;
      readonly forms: readonly [KnownForm, ...KnownForm[]];
    }
  | { readonly kind: "failed"; readonly failure: BuildFailure };

export interface KnownImagesOptions {
  readonly lookups: Pick<Lookups, "known">;
  readonly records: Pick<Records, "known" | "packings" | "failures">;
}

export function createKnownImages({ lookups, records }: KnownImagesOptions): KnownImages {
  async function asked(recipe: Recipe, pin: Pin): Promise<AskedNames | undefined> {
    const system = systemOf(recipe.architecture);
    const known = await lookups.known(pin, system, namesOf(recipe));
    if (known === undefined) return undefined;
    const failure = lookupFailure(recipe, known);
    if (failure !== undefined) return { kind: "failed", failure };
    const ingredients = known.flatMap(({ name, lookup }) =>
      isFound(lookup) ? [{ name, found: lookup }] : [],
    );
    return { kind: "found", ingredients };
  }

  /** In each form what all records are there for; or what compose says there is not. */
  async function formsOf({ recipe, ingredients }: CanonicalImage): Promise<Forms> {
    const forms: KnownForm[] = [];
    for (const variant of WIDEST_FIRST) {
      const { form } = VARIANT_TYPES[variant];
      const known = await records.known(ingredients, form);
      if (known === undefined) continue;
      const composed = await compose(recipe, ingredients, known, variant);
      if (composed.kind === "image") {
        const packing = records.packings[form];
        forms.push({ variant, packing, image: composed.image, records: known });
      } else if (composed.kind !== "cuts-missing") return { kind: "failed", failure: composed };
    }
    return { kind: "forms", forms };
  }

  return {
    async names(recipe, pin) {
      const found = await asked(recipe, pin);
      if (found?.kind !== "found") return found;
      return { kind: "found", image: canonicalImageOf(recipe, found.ingredients) };
    },
    async state(recipe, pin) {
      const found = await asked(recipe, pin);
      if (found?.kind !== "found") return found;
      const image = canonicalImageOf(recipe, found.ingredients);
      const composed = await formsOf(image);
      if (composed.kind === "failed") return composed;
      const [first, ...others] = composed.forms;
      if (first !== undefined) return { kind: "known", image, forms: [first, ...others] };
      const failures = await Promise.all(
        FORMS.map((form) => records.failures(image.ingredients, form)),
      );
      const told = failures.flat().flatMap((each) => askedFor(each, found.ingredients));
      const failure = failureOf(recipe, told);
      return failure === undefined ? undefined : { kind: "failed", failure: settled(failure) };
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
