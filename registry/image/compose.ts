// Compose: recipe, lookups and records in, the bytes of a config and a manifest out. Pure, so that
// the Worker and the origin give one image one digest. Which layers it has is decided in arrange.ts.

import { type Digest, digestOf } from "../naming/digest.ts";
import type { Recipe } from "../naming/recipe.ts";
import { arrange, type ImageLayer, LAYER_BUDGET } from "./arrange.ts";
import type { CutOfRecord } from "./cuts.ts";
import { defaultConfig } from "./default-config.ts";
import { type ImageConfig, layConfigOver } from "./image-config.ts";
import type { FoundImage } from "./lookup.ts";
import type { ManifestType } from "./media-type.ts";
import type { Ingredient } from "./part.ts";
import type { PackageRecord } from "./record.ts";
import { VARIANT_TYPES, type Variant } from "./variant.ts";

/** Raised with every change that gives other bytes for the same input. */
export const COMPOSE_VERSION = 6;
/** overlay2 of Docker 20.10 and 28.5 mounts 125 layers and refuses 126 ("max depth exceeded"). */
export const MAX_LAYERS = 125;

export interface ComposedImage {
  readonly config: { readonly bytes: Uint8Array; readonly digest: Digest };
  readonly manifest: {
    readonly bytes: Uint8Array;
    readonly digest: Digest;
    readonly mediaType: ManifestType;
  };
}

export type ComposeResult =
  | { readonly kind: "image"; readonly image: ComposedImage }
  /** Coarser cuts that nobody has needed before: the origin must join their layers first. */
  | { readonly kind: "cuts-missing"; readonly cuts: readonly CutOfRecord[] }
  | { readonly kind: "too-many-layers"; readonly count: number }
  /** Each brings a config of its own, and nothing says which of them was meant. */
  | { readonly kind: "several-images"; readonly attributes: readonly string[] };

/** What an image may be given besides what its recipe says. A registry's images have none of it. */
export interface ComposeOptions {
  /** Instead of LAYER_BUDGET and MAX_LAYERS. */
  readonly maxLayers?: number;
  /** Goes before the config of a whole image, which goes before what every image has. */
  readonly config?: ImageConfig;
  /** On top of all other layers. */
  readonly top?: readonly ImageLayer[];
}

/**
 * Composes an image of a canonical recipe (canonical.ts). `ingredients` are in its order, one for each
 * package; `records` are those of its parts in their order (part.ts), in the variant's form.
 */
export async function compose(
  recipe: Recipe,
  ingredients: readonly Ingredient[],
  records: readonly PackageRecord[],
  variant: Variant,
  { maxLayers, config: own = {}, top = [] }: ComposeOptions = {},
): Promise<ComposeResult> {
  const [image, ...otherImages] = wholeImages(ingredients);
  if (image !== undefined && otherImages.length > 0) {
    const attributes = [image, ...otherImages].map(({ attribute }) => attribute);
    return { kind: "several-images", attributes };
  }
  const arranged = arrange(records, (maxLayers ?? LAYER_BUDGET) - top.length);
  if (arranged.kind === "cuts-missing") return arranged;
  const layers: readonly ImageLayer[] = [...arranged.layers, ...top];
  if (layers.length > (maxLayers ?? MAX_LAYERS)) {
    return { kind: "too-many-layers", count: layers.length };
  }

  const defaults = defaultConfig(recipe, ingredients, records);
  const run = layConfigOver(layConfigOver(defaults, image?.config ?? {}), own);
  const config = await encode(imageConfig(recipe, run, layers));
  const types = VARIANT_TYPES[variant];
  const manifest = await encode({
    schemaVersion: 2,
    mediaType: types.manifest,
    config: { mediaType: types.config, digest: config.digest, size: config.bytes.length },
    layers: layers.map(({ digest, sizeBytes }) => ({
      mediaType: types.layer,
      digest,
      size: sizeBytes,
    })),
  });
  return { kind: "image", image: { config, manifest: { ...manifest, mediaType: types.manifest } } };
}

function wholeImages(ingredients: readonly Ingredient[]): readonly FoundImage[] {
  return ingredients.flatMap(({ found, neededBy }) =>
    found.kind === "image" && neededBy === undefined ? [found] : [],
  );
}

function imageConfig(recipe: Recipe, config: ImageConfig, layers: readonly ImageLayer[]) {
  return {
    architecture: recipe.architecture,
    os: "linux",
    created: CREATED,
    config,
    rootfs: { type: "layers", diff_ids: layers.map((layer) => layer.diffId) },
    history: layers.map(({ holds }) => ({ created: CREATED, created_by: `nixport ${holds}` })),
  };
}

/** One second after the epoch, the time of every file in the store. */
const CREATED = "1970-01-01T00:00:01Z";

async function encode(value: unknown) {
  const bytes = new TextEncoder().encode(JSON.stringify(value));
  return { bytes, digest: await digestOf(bytes) };
}
