// Composes an image whose records are at hand, joining on the way the layers of coarser cuts that an
// image of many layers needs: the one loop around registry/image/compose.ts, with and without a server.

import {
  type ComposedImage,
  type ComposeOptions,
  type ComposeResult,
  compose,
} from "../../registry/image/compose.ts";
import type { CutOfRecord } from "../../registry/image/cuts.ts";
import { type Ingredient, partName } from "../../registry/image/part.ts";
import type { PackageRecord } from "../../registry/image/record.ts";
import type { Variant } from "../../registry/image/variant.ts";
import { canonicalRecipe, type Recipe } from "../../registry/naming/recipe.ts";
import type { CoarsenedRecord } from "./records.ts";
import type { RecordFailure } from "./wanted-parts.ts";

export type ImageComposed =
  | { readonly kind: "composed"; readonly image: ComposedImage }
  | Exclude<ComposeResult, { readonly kind: "image" | "cuts-missing" }>
  /** A layer of a coarser cut of this record. */
  | {
      readonly kind: "not-joined";
      readonly record: PackageRecord;
      readonly failure: RecordFailure;
    };

export interface ImageToCompose {
  readonly recipe: Recipe;
  readonly ingredients: readonly Ingredient[];
  /** Of its parts, in their order. */
  readonly records: readonly PackageRecord[];
  readonly variant: Variant;
  readonly options?: ComposeOptions;
}

/** Once is enough, but for other requests that have other cuts of the same records joined meanwhile. */
const MAX_JOINS = 8;

export async function composeImage(
  { recipe, ingredients, records, variant, options }: ImageToCompose,
  coarsen: (cut: CutOfRecord) => Promise<CoarsenedRecord>,
): Promise<ImageComposed> {
  let known = records;
  for (let joins = 0; joins < MAX_JOINS; joins++) {
    const composed = await compose(recipe, ingredients, known, variant, options);
    if (composed.kind === "image") return { kind: "composed", image: composed.image };
    if (composed.kind !== "cuts-missing") return composed;
    const joined = new Map<string, PackageRecord>();
    for (const cut of composed.cuts) {
      const result = await coarsen(cut);
      if (result.kind !== "record") {
        return { kind: "not-joined", record: cut.record, failure: result };
      }
      joined.set(partName(result.record), result.record);
    }
    known = known.map((record) => joined.get(partName(record)) ?? record);
  }
  throw new Error(`the cuts of ${canonicalRecipe(recipe)} are still missing`);
}
