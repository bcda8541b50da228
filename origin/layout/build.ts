// An image without a registry: records of what was asked for, composed like any other image, written
// as an OCI layout. The same parts as in the origin, on a storage that lasts as long as the build.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { ComposedImage, Ingredient } from "../../registry/compose.ts";
import { canonicalRecipe, parseRepository, type Recipe } from "../../registry/recipe.ts";
import type { PackageRecord, PackingId } from "../../registry/record.ts";
import { VARIANT_TYPES } from "../../registry/variant.ts";
import { composeImage } from "../compose-image.ts";
import { createPacker } from "../layers/packer.ts";
import {
  CLOSURES_PER_SHARER,
  NO_POPULARITY,
  type Popularity,
  parsePopularity,
  REFERENCES_PER_SHARER,
} from "../layers/popularity.ts";
import { createPackedLayers } from "../packed-layers.ts";
import { createRecordMaker, type RecordMaker } from "../record-maker.ts";
import { openFilesystemStore } from "../storage/filesystem.ts";
import type { BuildRequest } from "./request.ts";
import { writeLayout } from "./write.ts";

export interface LayoutOptions {
  /** A folder of the build's own, for layers before they are in the layout. */
  readonly workPath: string;
  /** Threads that pack; null for one per core. */
  readonly workers: number | null;
  readonly log: (line: string) => void;
}

/** Expected failures: faults of what was asked for. */
export type LayoutResult =
  | { readonly kind: "built"; readonly image: ComposedImage; readonly packing: PackingId }
  | { readonly kind: "failed"; readonly reason: string };

class RequestError extends Error {}

export async function buildLayout(
  request: BuildRequest,
  options: LayoutOptions,
): Promise<LayoutResult> {
  try {
    return await build(request, options);
  } catch (error) {
    if (error instanceof RequestError) return { kind: "failed", reason: error.message };
    throw error;
  }
}

async function build(request: BuildRequest, options: LayoutOptions): Promise<LayoutResult> {
  const { variant, outputPath } = request;
  const { form } = VARIANT_TYPES[variant];
  const recipe = recipeOf(request);
  const popularity = await popularityOf(request);
  const store = await openFilesystemStore(join(options.workPath, "store"));
  const packer = createPacker(options.workers === null ? {} : { workers: options.workers });
  try {
    const layers = createPackedLayers({
      packer,
      store,
      log: { info: (facts: unknown) => options.log(`packed ${JSON.stringify(facts)}`) },
      signal: new AbortController().signal,
    });
    const maker = createRecordMaker({ layers, popularity });
    const packing = await maker.packing(form);
    const ingredients = await makeIngredients(request, recipe, maker);
    const composed = await composeImage(
      { recipe, ingredients, packing, variant },
      async ({ record, level }) => ({ kind: "record", record: await maker.coarsen(record, level) }),
    );
    if (composed.kind !== "composed") throw new RequestError(`not composed: ${composed.kind}`);
    const { image } = composed;
    await writeLayout({ ...request, packing: packing.id, image, store, outputPath });
    return { kind: "built", image, packing: packing.id };
  } finally {
    await packer.close();
  }
}

/** The rules of recipes are stated in Nix once more; an image must never depend on a difference. */
function recipeOf({ isNamed, name, recipe }: BuildRequest): Recipe {
  const { architecture, packages } = recipe;
  const made = { architecture, packages: [...new Set(packages)].sort() };
  if (!isNamed) return made;
  const parsed = parseRepository(name);
  if (parsed.kind === "invalid") throw new RequestError(parsed.reason);
  const meant = canonicalRecipe({ ...parsed.recipe, architecture });
  if (meant !== canonicalRecipe(made)) {
    throw new RequestError(
      `${name} means ${meant}, and nix/image.nix gave ${canonicalRecipe(made)}`,
    );
  }
  return made;
}

async function popularityOf({ popularity }: BuildRequest): Promise<Popularity> {
  if (popularity === null) return NO_POPULARITY;
  const { file, counts } = popularity;
  const perSharer = { references: REFERENCES_PER_SHARER, closures: CLOSURES_PER_SHARER }[counts];
  const result = parsePopularity(await readFile(file, "utf8"), perSharer);
  if (result.kind === "popularity") return result.popularity;
  throw new RequestError(`the popularity data of ${file} ${result.reason}`);
}

/** In recipe order; behind them what the image holds besides. */
async function makeIngredients(
  { closure, ingredients, contents, variant }: BuildRequest,
  recipe: Recipe,
  maker: RecordMaker,
): Promise<readonly Ingredient[]> {
  const { form } = VARIANT_TYPES[variant];
  const ofRecipe = recipe.packages.map((name) => {
    const ingredient = ingredients.find((each) => each.name === name);
    if (ingredient === undefined) throw new Error(`no lookup of ${name}`);
    return ingredient;
  });
  return await Promise.all(
    [...ofRecipe, ...contents].map(async ({ name, found }) => {
      const records: PackageRecord[] = [];
      for (const { path } of found.outputs) {
        const made = await maker.make(closure, path, form);
        if (made.kind === "unpackable") throw new RequestError(made.reason);
        records.push(made.record);
      }
      return { name, found, records };
    }),
  );
}
