// Composes an image whose records are at hand, joining on the way the layers of coarser cuts that an
// image of many layers needs: the one loop around registry/compose.ts, with and without a server.

import {
  type ComposedImage,
  type ComposeOptions,
  type ComposeResult,
  compose,
  type Ingredient,
} from "../../registry/compose.ts";
import type { CutOfRecord } from "../../registry/cuts.ts";
import type { Packing } from "../../registry/pin.ts";
import { canonicalRecipe, type PackageName, type Recipe } from "../../registry/recipe.ts";
import type { PackageRecord } from "../../registry/record.ts";
import type { StorePath } from "../../registry/store-path.ts";
import type { Variant } from "../../registry/variant.ts";
import type { OneRecord, RecordFailure } from "./records.ts";

export type ImageComposed =
  | {
      readonly kind: "composed";
      readonly image: ComposedImage;
      /** With the cuts in their records that had to be joined. */
      readonly ingredients: readonly Ingredient[];
    }
  | Exclude<ComposeResult, { readonly kind: "image" | "cuts-missing" }>
  /** A layer of this package's coarser cut. */
  | {
      readonly kind: "not-joined";
      readonly name: PackageName;
      readonly failure: RecordFailure;
    };

export interface ImageToCompose {
  readonly recipe: Recipe;
  readonly ingredients: readonly Ingredient[];
  readonly packing: Packing;
  readonly variant: Variant;
  readonly options?: ComposeOptions;
}

/** Once is enough, but for other requests that have other cuts of the same records joined meanwhile. */
const MAX_JOINS = 8;

export async function composeImage(
  { recipe, ingredients, packing, variant, options }: ImageToCompose,
  coarsen: (cut: CutOfRecord) => Promise<OneRecord>,
): Promise<ImageComposed> {
  let known = ingredients;
  for (let joins = 0; joins < MAX_JOINS; joins++) {
    const composed = await compose(recipe, known, packing.base, variant, options);
    if (composed.kind === "image") {
      return { kind: "composed", image: composed.image, ingredients: known };
    }
    if (composed.kind !== "cuts-missing") return composed;
    const joined = new Map<StorePath, PackageRecord>();
    for (const cut of composed.cuts) {
      const result = await coarsen(cut);
      if (result.kind !== "record") {
        const owner = known.find((ingredient) => ingredient.records.includes(cut.record));
        if (owner === undefined) throw new Error(`no package has ${cut.record.storePath}`);
        return { kind: "not-joined", name: owner.name, failure: result };
      }
      joined.set(result.record.storePath, result.record);
    }
    known = known.map((ingredient) => ({
      ...ingredient,
      records: ingredient.records.map((record) => joined.get(record.storePath) ?? record),
    }));
  }
  throw new Error(`the cuts of ${canonicalRecipe(recipe)} are still missing`);
}
