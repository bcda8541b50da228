// An image without a registry: records of what was asked for, composed like any other image, written
// as an OCI layout. The same parts as in the origin, on a storage that lasts as long as the build.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import {
  type FailedPackage,
  failedPackage,
  packagesError,
} from "../../registry/failures/failed-packages.ts";
import type { ImageLayer } from "../../registry/image/arrange.ts";
import { type CanonicalImage, canonicalImageOf } from "../../registry/image/canonical.ts";
import { type ComposedImage, MAX_LAYERS } from "../../registry/image/compose.ts";
import type { ImageConfig } from "../../registry/image/image-config.ts";
import { isFound } from "../../registry/image/lookup.ts";
import { type Ingredient, partsOf } from "../../registry/image/part.ts";
import type { Form, PackageRecord, PackingId } from "../../registry/image/record.ts";
import { VARIANT_TYPES } from "../../registry/image/variant.ts";
import { RECIPE_WORDS } from "../../registry/naming/front-words.ts";
import {
  canonicalRecipe,
  isSpared,
  namesOf,
  type PackageName,
  parseRepository,
  type Recipe,
} from "../../registry/naming/recipe.ts";
import { composeImage, type ImageComposed } from "../images/compose-image.ts";
import { createPackedLayers } from "../images/packed-layers.ts";
import { createRecordMaker, type RecordMaker } from "../images/record-maker.ts";
import type { ValidClosure } from "../layers/closure.ts";
import { drawHere } from "../layers/draw-view.ts";
import { createPacker } from "../layers/packer.ts";
import { NO_POPULARITY, type Popularity, parsePopularity } from "../layers/popularity.ts";
import { STORE_DIRECTORY } from "../layers/tar.ts";
import type { LookupAnswer } from "../nix/lookup-json.ts";
import type { BlobStore } from "../storage/blob-store.ts";
import { openFilesystemStore } from "../storage/filesystem.ts";
import { storageKey } from "../storage/keys.ts";
import { readStoredText } from "../storage/stored-json.ts";
import { makeExtraLayer } from "./extra-layer.ts";
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
  const { variant, outputPath, maxLayers } = request;
  const { form } = VARIANT_TYPES[variant];
  const wanted = wantedOf(request, recipeOf(request));
  const popularity = await popularityOf(request);
  const store = await openFilesystemStore(join(options.workPath, "store"));
  // In a build every store path is where it says.
  const storeDirectory = STORE_DIRECTORY;
  const packer = createPacker({
    storeDirectory,
    ...(options.workers !== null && { workers: options.workers }),
  });
  try {
    const layers = createPackedLayers({
      packer,
      store,
      log: {
        info: (facts: unknown) => options.log(`packed ${JSON.stringify(facts)}`),
        warn: (facts: unknown) => options.log(`not written: ${JSON.stringify(facts)}`),
      },
      signal: new AbortController().signal,
    });
    const maker = createRecordMaker({ layers, popularity, draw: drawHere(storeDirectory) });
    const packing = maker.packings[form];
    const { recipe, ingredients } = wanted;
    const records = await makeRecords(ingredients, request.closure, form, maker);
    const top = await extraLayers(request, store, options.workPath);
    const composed = await composeImage(
      {
        ...{ recipe, ingredients, records, variant },
        options: { ...(maxLayers !== null && { maxLayers }), config: wanted.config, top },
      },
      async ({ record, level }) => ({ kind: "record", record: await maker.coarsen(record, level) }),
    );
    if (composed.kind !== "composed") throw new RequestError(whyNotComposed(composed, maxLayers));
    const { image } = composed;
    await writeLayout({ ...request, packing, image, store, outputPath });
    return { kind: "built", image, packing };
  } finally {
    await packer.close();
  }
}

/** The rules of recipes are stated in Nix once more; an image must never depend on a difference. */
function recipeOf({ isNamed, name, recipe }: BuildRequest): Recipe {
  const { architecture, words, packages } = recipe;
  const made = {
    architecture,
    words: RECIPE_WORDS.filter((word) => words.includes(word)),
    packages: [...new Set(packages)].sort(),
  };
  if (!isNamed) return made;
  const parsed = parseRepository(name);
  if (parsed.kind === "invalid") throw new RequestError(parsed.reason);
  if (parsed.recipe.architecture !== null && parsed.recipe.architecture !== architecture) {
    throw new RequestError(`${name} is not for ${architecture}, the platform of \`system\``);
  }
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
  const result = parsePopularity(readStoredText(await readFile(file)) ?? "", counts);
  if (result.kind === "popularity") return result.popularity;
  throw new RequestError(`the popularity data of ${file} ${result.reason}`);
}

interface Wanted extends CanonicalImage {
  readonly config: ImageConfig;
}

/** What the recipe names, in its order; behind that what the image holds besides. */
function wantedOf({ lookups, image, names }: BuildRequest, recipe: Recipe): Wanted {
  const failures: FailedPackage[] = [];
  const found = (name: PackageName, answer: LookupAnswer | undefined): Ingredient[] => {
    if (answer === undefined || answer.kind === "failed") throw new Error(`no lookup of ${name}`);
    if (isFound(answer)) return [{ name, found: answer }];
    if (isSpared(name, answer)) return [];
    failures.push(failedPackage(recipe, name, answer));
    return [];
  };
  const asked = namesOf(recipe).flatMap((name) => found(name, lookups[names.indexOf(name)]));
  const [given] = found("image" as PackageName, image);
  if (failures.length > 0 || given?.found.kind !== "image") {
    throw new RequestError(packagesError(failures).message);
  }
  const { config, contents } = given.found;
  const besides = contents.map((each) => ({ name: given.name, found: each }));
  const canonical = canonicalImageOf(recipe, asked);
  return { ...canonical, ingredients: [...canonical.ingredients, ...besides], config };
}

async function makeRecords(
  ingredients: readonly Ingredient[],
  closure: ValidClosure,
  form: Form,
  maker: RecordMaker,
): Promise<readonly PackageRecord[]> {
  return await Promise.all(
    partsOf(ingredients).map(async (part) => {
      const made = await maker.make(closure, part, form);
      if (made.kind === "unpackable") throw new RequestError(made.reason);
      return made.record;
    }),
  );
}

async function extraLayers(
  { extra, variant }: BuildRequest,
  store: BlobStore,
  workPath: string,
): Promise<readonly ImageLayer[]> {
  if (extra === null) return [];
  const made = await makeExtraLayer(extra, VARIANT_TYPES[variant].form, workPath);
  if (made.kind === "failed") throw new RequestError(made.reason);
  const { bytes, digest, diffId, sizeBytes } = made.packed;
  await store.store(storageKey.layer(digest), bytes);
  return [{ digest, diffId, sizeBytes, holds: "extra commands" }];
}

function whyNotComposed(
  failure: Exclude<ImageComposed, { readonly kind: "composed" }>,
  maxLayers: number | null,
): string {
  switch (failure.kind) {
    case "too-many-layers":
      return maxLayers === null
        ? `the image has ${failure.count} layers, and clients mount ${MAX_LAYERS}`
        : `the image has ${failure.count} layers at least, and maxLayers is ${maxLayers}`;
    case "several-images":
      return `${failure.attributes.join(" and ")} are whole images: name one of them`;
    case "not-joined":
      return `layers were not joined: ${failure.failure.kind}`;
    default:
      return failure satisfies never;
  }
}
