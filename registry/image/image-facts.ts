// What there is to tell of an image that is known: made of its recipe, what its names were found to be, the
// records of its parts and what was composed of them. Pure, so that edge and origin tell the same; and the
// schema by which the edge believes what its origin tells.

import * as v from "valibot";
import type { Digest } from "../naming/digest.ts";
import { RECIPE_WORDS, type RecipeWord } from "../naming/front-words.ts";
import { type Pin, pinSchema } from "../naming/pin.ts";
import { ARCHITECTURES, type Architecture, canonicalRecipe } from "../naming/recipe.ts";
import type { StorePath } from "../naming/store-path.ts";
import { type ArrangedLayer, arrange } from "./arrange.ts";
import type { CanonicalImage } from "./canonical.ts";
import type { ComposedImage } from "./compose.ts";
import { type ImageConfig, imageConfigSchema } from "./image-config.ts";
import { packagesOf, storePathSchema, webAddress } from "./lookup.ts";
import {
  type Ingredient,
  PART_KINDS,
  type Part,
  type PartKind,
  packagesIn,
  partName,
} from "./part.ts";
import {
  digestSchema,
  type Link,
  linkSchema,
  type PackageRecord,
  type PackingId,
  packingIdSchema,
  recordPaths,
} from "./record.ts";
import { VARIANTS, type Variant } from "./variant.ts";

export interface ImageFacts {
  /** Canonical, as the image says it of itself. */
  readonly recipe: string;
  readonly architecture: Architecture;
  readonly pin: Pin;
  /** When the tag was last seen to lead to the pin, in milliseconds since the epoch; null of a tag that is one. */
  readonly resolvedAtMs: number | null;
  /** Whether the tag is known to have moved on from the pin. */
  readonly isNewest: boolean;
  /** In which its image is known, at least one, the one that most clients read first. */
  readonly variants: readonly VariantFacts[];
  /** Bottom first, as the first of the variants has them. */
  readonly layers: readonly LayerFacts[];
  readonly parts: readonly PartFacts[];
  /** In the order of the recipe; behind them what its front words need. */
  readonly packages: readonly PackageFacts[];
  readonly config: ImageConfig;
}

export interface VariantFacts {
  readonly variant: Variant;
  readonly packing: PackingId;
  readonly digest: Digest;
  readonly mediaType: string;
  readonly config: Digest;
  /** What a client without any of it receives: all layers and the config. */
  readonly sizeBytes: number;
}

export interface LayerFacts {
  readonly digest: Digest;
  readonly diffId: Digest;
  readonly sizeBytes: number;
  /** As `docker history` shows it. */
  readonly holds: string;
  /** Whole; empty of a layer of links. */
  readonly storePaths: readonly StorePath[];
  /** The places, in `parts`, of those whose links lie in it: one, or none. */
  readonly view: number | null;
  /** Of a layer of links alone. */
  readonly links: readonly Link[];
  /** The places, in `parts`, of those that need anything of it. */
  readonly neededBy: readonly number[];
}

/** What brings layers to an image. */
export interface PartFacts {
  readonly kind: PartKind;
  /** The attributes of its packages; none of a database of Nix, nor of a ground without packages. */
  readonly packages: readonly string[];
  readonly outputs: readonly StorePath[];
  /** Of the layers with anything that it needs, which others may need too. */
  readonly sizeBytes: number;
  /** Bottom first. */
  readonly closure: readonly ClosureInLayer[];
}

export interface ClosureInLayer {
  /** The place in `layers`. */
  readonly layer: number;
  /** The places in its `storePaths`. */
  readonly storePaths: readonly number[];
}

export interface PackageFacts {
  readonly attribute: string;
  readonly name: string;
  readonly version: string | null;
  readonly description: string | null;
  readonly licenses: readonly string[];
  readonly mainProgram: string | null;
  readonly homepage: string | null;
  readonly outputs: readonly { readonly name: string; readonly path: StorePath }[];
  /** The whole image of the package set that brings it. */
  readonly image: string | null;
  /** The front word that needs it, where the name of the image does not say it. */
  readonly neededBy: RecipeWord | null;
}

/** One form of the image, as it was composed. */
export interface KnownForm {
  readonly variant: Variant;
  readonly packing: PackingId;
  readonly image: ComposedImage;
  /** Of the parts, in their order. */
  readonly records: readonly PackageRecord[];
}

export interface KnownAt {
  readonly pin: Pin;
  readonly resolvedAtMs: number | null;
  readonly isNewest: boolean;
}

/** `forms` are in the order of WIDEST_FIRST. */
export function imageFacts(
  { recipe, ingredients }: CanonicalImage,
  forms: readonly [KnownForm, ...KnownForm[]],
  at: KnownAt,
): ImageFacts {
  const [{ image, records }] = forms;
  const arranged = arrange(records);
  // It was composed of these very records.
  if (arranged.kind !== "layers")
    throw new Error(`layers of ${canonicalRecipe(recipe)} are missing`);
  const { layers } = arranged;
  const closures = records.map((record) => closureIn(record, layers));
  return {
    recipe: canonicalRecipe(recipe),
    architecture: recipe.architecture,
    ...at,
    variants: forms.map(variantFacts),
    layers: layers.map((layer, place) => layerFacts(layer, place, records, closures)),
    parts: records.map((part, place) => {
      const closure = closures[place] ?? [];
      const sizeBytes = sum(closure.map(({ layer }) => layers[layer]?.sizeBytes ?? 0));
      const packages = packagesOfPart(part, ingredients);
      return { kind: part.kind, packages, outputs: part.outputs, sizeBytes, closure };
    }),
    packages: distinctPackages(ingredients),
    config: configOf(image),
  };
}

function variantFacts({ variant, packing, image: { manifest, config } }: KnownForm): VariantFacts {
  const { digest, mediaType } = manifest;
  const { layers }: { readonly layers: readonly { readonly size: number }[] } = JSON.parse(
    new TextDecoder().decode(manifest.bytes),
  );
  const sizeBytes = config.bytes.length + sum(layers.map(({ size }) => size));
  return { variant, packing, digest, mediaType, config: config.digest, sizeBytes };
}

function layerFacts(
  { digest, diffId, sizeBytes, holds, content }: ArrangedLayer,
  place: number,
  parts: readonly Part[],
  closures: readonly (readonly ClosureInLayer[])[],
): LayerFacts {
  const neededBy = closures.flatMap((closure, part) =>
    closure.some(({ layer }) => layer === place) ? [part] : [],
  );
  const own = content.kind === "paths" ? content.view : content.part;
  const view = own === null ? null : placeOf(own, parts);
  const storePaths = content.kind === "paths" ? content.storePaths : [];
  const links = content.kind === "links" ? content.links : [];
  return { digest, diffId, sizeBytes, holds, storePaths, view, links, neededBy };
}

/** Where each path of a part's closure lies in the image, and the layers of its links. */
function closureIn(
  record: PackageRecord,
  layers: readonly ArrangedLayer[],
): readonly ClosureInLayer[] {
  const name = partName(record);
  const left = new Set(recordPaths(record));
  return layers.flatMap(({ content }, layer) => {
    if (content.kind === "links") {
      return partName(content.part) === name ? [{ layer, storePaths: [] }] : [];
    }
    // A path that two layers have is told of once: where it lies first.
    const storePaths = content.storePaths.flatMap((path, place) =>
      left.delete(path) ? [place] : [],
    );
    const isOwn = content.view !== null && partName(content.view) === name;
    return storePaths.length > 0 || isOwn ? [{ layer, storePaths }] : [];
  });
}

function placeOf(part: Part, parts: readonly Part[]): number {
  const name = partName(part);
  return parts.findIndex((each) => partName(each) === name);
}

function packagesOfPart(
  { kind, outputs }: Part,
  ingredients: readonly Ingredient[],
): readonly string[] {
  if (kind === "database") return [];
  const own = new Set(outputs);
  const packages = packagesIn(ingredients).filter((each) =>
    each.outputs.some(({ path }) => own.has(path)),
  );
  return [...new Set(packages.map(({ attribute }) => attribute))];
}

/** What a name says and a front word needs besides is told of as what the name says. */
function distinctPackages(ingredients: readonly Ingredient[]): readonly PackageFacts[] {
  const told = new Set<string>();
  return ingredients.flatMap(packageFacts).filter(({ attribute }) => {
    const isNew = !told.has(attribute);
    told.add(attribute);
    return isNew;
  });
}

function packageFacts({ found, neededBy }: Ingredient): readonly PackageFacts[] {
  const image = found.kind === "image" ? found.attribute : null;
  return packagesOf(found).map(
    ({ attribute, name, version, description, licenses, mainProgram, homepage, outputs }) => ({
      ...{ attribute, name, version, description, licenses, mainProgram, homepage, outputs },
      ...{ image, neededBy: neededBy ?? null },
    }),
  );
}

/** What it was composed with, in its own bytes. */
function configOf({ config: { bytes } }: ComposedImage): ImageConfig {
  return JSON.parse(new TextDecoder().decode(bytes)).config;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}

const text = v.string();
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const pathsSchema = v.array(storePathSchema);

export const imageFactsSchema: v.GenericSchema<unknown, ImageFacts> = v.object({
  recipe: text,
  architecture: v.picklist(ARCHITECTURES),
  pin: pinSchema,
  resolvedAtMs: v.nullable(v.number()),
  isNewest: v.boolean(),
  variants: v.pipe(
    v.array(
      v.object({
        variant: v.picklist(VARIANTS),
        packing: packingIdSchema,
        digest: digestSchema,
        mediaType: text,
        config: digestSchema,
        sizeBytes: count,
      }),
    ),
    v.minLength(1),
  ),
  layers: v.array(
    v.object({
      digest: digestSchema,
      diffId: digestSchema,
      sizeBytes: count,
      holds: text,
      storePaths: pathsSchema,
      view: v.nullable(count),
      links: v.array(linkSchema),
      neededBy: v.array(count),
    }),
  ),
  parts: v.array(
    v.object({
      kind: v.picklist(PART_KINDS),
      packages: v.array(text),
      outputs: pathsSchema,
      sizeBytes: count,
      closure: v.array(v.object({ layer: count, storePaths: v.array(count) })),
    }),
  ),
  packages: v.array(
    v.object({
      attribute: text,
      name: text,
      version: v.nullable(text),
      description: v.nullable(text),
      licenses: v.array(text),
      mainProgram: v.nullable(text),
      homepage: v.pipe(v.nullable(text), v.transform(webAddress)),
      outputs: v.array(v.object({ name: text, path: storePathSchema })),
      image: v.nullable(text),
      neededBy: v.nullable(v.picklist(RECIPE_WORDS)),
    }),
  ),
  config: imageConfigSchema,
});
