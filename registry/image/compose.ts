// Compose: recipe, lookups and records in, the bytes of a config and a manifest out. Pure, so that
// the Worker and the origin give one image one digest. An image is, bottom first: the ground that all
// images share, the union of its parts' bundles, links that only a closure offers, the bundles with the
// parts' views, and links that are meant to hide what views have there.

import { type Digest, digestOf } from "../naming/digest.ts";
import type { Recipe } from "../naming/recipe.ts";
import { type StorePath, storePathName } from "../naming/store-path.ts";
import {
  bundlesOf,
  type CutBundle,
  type CutOfRecord,
  chooseCuts,
  type ViewBundle,
} from "./cuts.ts";
import { defaultConfig } from "./default-config.ts";
import { type ImageConfig, layConfigOver } from "./image-config.ts";
import type { FoundImage } from "./lookup.ts";
import type { ManifestType } from "./media-type.ts";
import type { Ingredient } from "./part.ts";
import type { LayerRecord, LinksRecord, PackageRecord } from "./record.ts";
import { VARIANT_TYPES, type Variant } from "./variant.ts";

/** Raised with every change that gives other bytes for the same input. */
export const COMPOSE_VERSION = 6;
/**
 * Beyond this many layers the largest packages are taken in coarser cuts. 25 below the limit, since
 * a user's `FROM` adds layers of its own.
 */
export const LAYER_BUDGET = 100;
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

export interface ImageLayer extends LayerRecord {
  /** What `docker history` shows of it. */
  readonly holds: string;
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
  const fallbacks = fallbackLayers(records);
  const above = records.flatMap((record) =>
    record.above === null ? [] : [linksLayer(record.above)],
  );
  const others = fallbacks.length + above.length + top.length;
  const { cuts, bundles, views } = chooseCuts(records, (maxLayers ?? LAYER_BUDGET) - others);
  const missing = cuts.filter((cut) => bundlesOf(cut).some(({ layer }) => layer === null));
  if (missing.length > 0) return { kind: "cuts-missing", cuts: missing };
  const layers: readonly ImageLayer[] = [
    ...viewLayers(views.filter(({ part }) => part.kind === "ground")),
    ...bundleLayers(bundles),
    ...fallbacks,
    ...viewLayers(views.filter(({ part }) => part.kind !== "ground")),
    ...above,
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

/**
 * The bundles without views. The most popular lie at the bottom: clients unpack by chains of layers,
 * so images that begin alike are unpacked once. Ties are broken by name and digest, never by the
 * order of records.
 */
function bundleLayers(bundles: readonly CutBundle[]): readonly ImageLayer[] {
  const names = ({ storePaths }: CutBundle) => storePaths.map(storePathName).join(" ");
  return bundles
    .map((bundle) => ({ bundle, layer: joined(bundle) }))
    .sort(
      (a, b) =>
        b.bundle.popularity - a.bundle.popularity ||
        order(names(a.bundle), names(b.bundle)) ||
        order(a.layer.digest, b.layer.digest),
    )
    .map(({ bundle, layer }) => ({ ...layer, holds: describePaths(bundle.storePaths) }));
}

function joined({ layer, storePaths }: CutBundle): LayerRecord {
  if (layer === null) throw new Error(`a bundle without a layer: ${storePaths.join(" ")}`);
  return layerOf(layer);
}

/**
 * Links that only closures offer, where no view has the path; the first part's on top. A layer may hold
 * a link besides that a view has: that view lies above it.
 */
function fallbackLayers(records: readonly PackageRecord[]): readonly ImageLayer[] {
  const offered = new Set<string>(records.flatMap((record) => record.provides));
  const layers: ImageLayer[] = [];
  for (const { fallback } of records) {
    if (fallback === null || fallback.links.every(({ path }) => offered.has(path))) continue;
    for (const { path } of fallback.links) offered.add(path);
    layers.unshift(linksLayer(fallback));
  }
  return layers;
}

function linksLayer({ links, layer }: LinksRecord): ImageLayer {
  const holds = links.map(({ path, target }) => `${path} -> ${target}`).join(", ");
  return { ...layerOf(layer), holds };
}

/** Where two parts offer one file the first one wins: its view lies on top. */
function viewLayers(views: readonly ViewBundle[]): readonly ImageLayer[] {
  return views.map((view) => ({ ...joined(view.bundle), holds: describeView(view) })).reverse();
}

function describeView({ part, bundle }: ViewBundle): string {
  if (part.kind === "database") return "database of Nix: /nix/var/nix";
  const paths = bundle.storePaths.length === 0 ? [] : [describePaths(bundle.storePaths)];
  const links = part.outputs.length === 0 ? [] : [`links: ${describePaths(part.outputs)}`];
  const ground = part.kind === "ground" ? ["base: /tmp, /etc/passwd"] : [];
  return [...ground, ...paths, ...links].join("; ");
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
