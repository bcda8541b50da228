// Compose: recipe, lookups and records in, the bytes of a config and a manifest out. Pure, so that
// the Worker and the origin give one image one digest. An image is, bottom first: the base, the
// union of its packages' bundles, links that only a closure offers, and the packages' views, each a
// layer of its own or in the bundle of its package that nobody else needs.

import { bundlesOf, type CutBundle, type CutOfRecord, chooseCuts } from "./cuts.ts";
import { defaultConfig } from "./default-config.ts";
import { type Digest, digestOf } from "./digest.ts";
import { type ImageConfig, layConfigOver } from "./image-config.ts";
import type { Found, FoundImage } from "./lookup.ts";
import type { ManifestType } from "./media-type.ts";
import type { PackageName, Recipe } from "./recipe.ts";
import { type LayerRecord, type PackageRecord, WELL_KNOWN_PATHS } from "./record.ts";
import { type StorePath, storePathName } from "./store-path.ts";
import { VARIANT_TYPES, type Variant } from "./variant.ts";

/** Raised with every change that gives other bytes for the same input. */
export const COMPOSE_VERSION = 2;
/**
 * Beyond this many layers the largest packages are taken in coarser cuts. 25 below the limit, since
 * a user's `FROM` adds layers of its own.
 */
export const LAYER_BUDGET = 100;
/** overlay2 of Docker 20.10 and 28.5 mounts 125 layers and refuses 126 ("max depth exceeded"). */
export const MAX_LAYERS = 125;

/** A name of the recipe: what it was found to be, and the record of each of its outputs. */
export interface Ingredient {
  readonly name: PackageName;
  readonly found: Found;
  readonly records: readonly PackageRecord[];
}

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

export interface ImageLayer extends LayerRecord {
  /** What `docker history` shows of it. */
  readonly holds: string;
}

/**
 * Composes an image. `ingredients` are in recipe order, one for each package; `base` is the base
 * layer in the variant's form.
 */
export async function compose(
  recipe: Recipe,
  ingredients: readonly Ingredient[],
  base: LayerRecord,
  variant: Variant,
  { maxLayers, config: own = {}, top = [] }: ComposeOptions = {},
): Promise<ComposeResult> {
  const [image, ...otherImages] = wholeImages(ingredients);
  if (image !== undefined && otherImages.length > 0) {
    const attributes = [image, ...otherImages].map(({ attribute }) => attribute);
    return { kind: "several-images", attributes };
  }
  const records = distinctRecords(ingredients);
  const fallbacks = fallbackLayers(records);
  const viewCount = records.filter(({ view }) => view !== null).length;
  const others = 1 + fallbacks.length + viewCount + top.length;
  const cuts = chooseCuts(records, (maxLayers ?? LAYER_BUDGET) - others);
  const missing = cuts.filter((cut) => bundlesOf(cut).some(({ layer }) => layer === null));
  if (missing.length > 0) return { kind: "cuts-missing", cuts: missing };
  const layers: readonly ImageLayer[] = [
    { ...base, holds: "base: /tmp, /etc/passwd" },
    ...bundleLayers(cuts),
    ...fallbacks,
    ...viewLayers(cuts),
    ...top,
  ];
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

/** Two names may lead to one output: it is in the image once, at its first place. */
function distinctRecords(ingredients: readonly Ingredient[]): readonly PackageRecord[] {
  const records = ingredients.flatMap((ingredient) => ingredient.records);
  return [...new Map(records.map((record) => [record.storePath, record])).values()];
}

/**
 * The bundles without views. The most popular lie at the bottom: clients unpack by chains of layers,
 * so images that begin alike are unpacked once. Ties are broken by name and digest, never by the
 * order of records.
 */
function bundleLayers(cuts: readonly CutOfRecord[]): readonly ImageLayer[] {
  const all = cuts.flatMap(bundlesOf);
  const above = new Set(all.filter(({ holdsView }) => holdsView).map(({ key }) => key));
  const bundles = new Map<Digest, CutBundle & { readonly layer: LayerRecord }>();
  for (const bundle of all) {
    if (above.has(bundle.key)) continue;
    const layer = joined(bundle);
    const known = bundles.get(layer.digest);
    // One bundle may be cut with two popularities only while the popularity data is replaced.
    if (known === undefined || known.popularity < bundle.popularity) {
      bundles.set(layer.digest, { ...bundle, layer });
    }
  }
  const names = (bundle: CutBundle) => bundle.storePaths.map(storePathName).join(" ");
  return [...bundles.values()]
    .sort(
      (a, b) =>
        b.popularity - a.popularity ||
        order(names(a), names(b)) ||
        order(a.layer.digest, b.layer.digest),
    )
    .map(({ layer, storePaths }) => ({ ...layer, holds: describePaths(storePaths) }));
}

function joined({ layer, key }: CutBundle): LayerRecord {
  if (layer === null) throw new Error(`a bundle without a layer: ${key}`);
  return layer;
}

/** A link only a closure offers is taken where no view has the path, from the first that offers it. */
function fallbackLayers(records: readonly PackageRecord[]): readonly ImageLayer[] {
  return WELL_KNOWN_PATHS.flatMap((path) => {
    if (records.some((record) => record.provides.includes(path))) return [];
    const fallback = records
      .flatMap((record) => record.fallbacks)
      .find((candidate) => candidate.path === path);
    return fallback === undefined
      ? []
      : [{ ...layerOf(fallback.layer), holds: `${path} -> ${fallback.target}` }];
  });
}

/** Where two packages offer one file the first in recipe order wins: its view lies on top. */
function viewLayers(cuts: readonly CutOfRecord[]): readonly ImageLayer[] {
  return cuts.map(viewLayer).reverse().flat();
}

function viewLayer(cut: CutOfRecord): readonly ImageLayer[] {
  const { view, storePath } = cut.record;
  if (view !== null) return [{ ...layerOf(view), holds: `links: ${storePathName(storePath)}` }];
  return bundlesOf(cut)
    .filter(({ holdsView }) => holdsView)
    .map((bundle) => ({
      ...layerOf(joined(bundle)),
      holds: `${describePaths(bundle.storePaths)}; links: ${storePathName(storePath)}`,
    }));
}

function wholeImages(ingredients: readonly Ingredient[]): readonly FoundImage[] {
  return ingredients.flatMap(({ found }) => (found.kind === "image" ? [found] : []));
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

/** `docker history` cuts long lines anyway; the config should stay a few kB. */
const MAX_NAMED_PATHS = 4;

function describePaths(paths: readonly StorePath[]): string {
  const names = paths.slice(0, MAX_NAMED_PATHS).map(storePathName).join(" ");
  const more = paths.length - MAX_NAMED_PATHS;
  return more > 0 ? `${names} and ${more} more` : names;
}

function layerOf({ digest, diffId, sizeBytes }: LayerRecord): LayerRecord {
  return { digest, diffId, sizeBytes };
}

function order(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

async function encode(value: unknown) {
  const bytes = new TextEncoder().encode(JSON.stringify(value));
  return { bytes, digest: await digestOf(bytes) };
}
