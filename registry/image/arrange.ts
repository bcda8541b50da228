// The layers of an image, which lies above which, and what each holds: from the bottom the ground that all
// images share, the union of the parts' bundles, links that only a closure offers, the bundles with the
// parts' views, and links that are meant to hide what views have there.

import { compare } from "../naming/compare.ts";
import { type StorePath, storePathName } from "../naming/store-path.ts";
import {
  bundlesOf,
  type CutBundle,
  type CutOfRecord,
  chooseCuts,
  type ViewBundle,
} from "./cuts.ts";
import type { Part } from "./part.ts";
import type { LayerRecord, Link, LinksRecord, PackageRecord } from "./record.ts";

/**
 * Beyond this many layers the largest packages are taken in coarser cuts. 25 below the limit, since
 * a user's `FROM` adds layers of its own.
 */
export const LAYER_BUDGET = 100;

export interface ImageLayer extends LayerRecord {
  /** What `docker history` shows of it. */
  readonly holds: string;
}

export interface ArrangedLayer extends ImageLayer {
  readonly content: LayerContent;
}

export type LayerContent =
  /** Whole store paths, and the links of a part where its view lies in it. */
  | {
      readonly kind: "paths";
      readonly storePaths: readonly StorePath[];
      readonly view: Part | null;
    }
  /** Links of this part, and nothing else. */
  | { readonly kind: "links"; readonly links: readonly Link[]; readonly part: Part };

export type Arrangement =
  | { readonly kind: "layers"; readonly layers: readonly ArrangedLayer[] }
  /** Coarser cuts that nobody has needed before: the origin must join their layers first. */
  | { readonly kind: "cuts-missing"; readonly cuts: readonly CutOfRecord[] };

/** `records` are those of an image's parts in their order (part.ts); `budget`: how many layers are too many. */
export function arrange(records: readonly PackageRecord[], budget = LAYER_BUDGET): Arrangement {
  const fallbacks = fallbackLayers(records);
  const above = records.flatMap((record) =>
    record.above === null ? [] : [linksLayer(record, record.above)],
  );
  const { cuts, bundles, views } = chooseCuts(records, budget - fallbacks.length - above.length);
  const missing = cuts.filter((cut) => bundlesOf(cut).some(({ layer }) => layer === null));
  if (missing.length > 0) return { kind: "cuts-missing", cuts: missing };
  const layers = [
    ...viewLayers(views.filter(({ part }) => part.kind === "ground")),
    ...bundleLayers(bundles),
    ...fallbacks,
    ...viewLayers(views.filter(({ part }) => part.kind !== "ground")),
    ...above,
  ];
  return { kind: "layers", layers };
}

/**
 * The bundles without views. The most popular lie at the bottom: clients unpack by chains of layers,
 * so images that begin alike are unpacked once. Ties are broken by name and digest, never by the
 * order of records.
 */
function bundleLayers(bundles: readonly CutBundle[]): readonly ArrangedLayer[] {
  const names = ({ storePaths }: CutBundle) => storePaths.map(storePathName).join(" ");
  return bundles
    .map((bundle) => ({ bundle, layer: joined(bundle) }))
    .sort(
      (a, b) =>
        b.bundle.popularity - a.bundle.popularity ||
        compare(names(a.bundle), names(b.bundle)) ||
        compare(a.layer.digest, b.layer.digest),
    )
    .map(({ bundle: { storePaths }, layer }) => ({
      ...{ ...layer, holds: describePaths(storePaths) },
      content: { kind: "paths", storePaths, view: null },
    }));
}

function joined({ layer, storePaths }: CutBundle): LayerRecord {
  if (layer === null) throw new Error(`a bundle without a layer: ${storePaths.join(" ")}`);
  return layerOf(layer);
}

/**
 * Links that only closures offer, where no view has the path; the first part's on top. A layer may hold
 * a link besides that a view has: that view lies above it.
 */
function fallbackLayers(records: readonly PackageRecord[]): readonly ArrangedLayer[] {
  const offered = new Set<string>(records.flatMap((record) => record.provides));
  const layers: ArrangedLayer[] = [];
  for (const record of records) {
    const { fallback } = record;
    if (fallback === null || fallback.links.every(({ path }) => offered.has(path))) continue;
    for (const { path } of fallback.links) offered.add(path);
    layers.unshift(linksLayer(record, fallback));
  }
  return layers;
}

function linksLayer(part: Part, { links, layer }: LinksRecord): ArrangedLayer {
  const holds = links.map(({ path, target }) => `${path} -> ${target}`).join(", ");
  return { ...layerOf(layer), holds, content: { kind: "links", links, part } };
}

/** Where two parts offer one file the first one wins: its view lies on top. */
function viewLayers(views: readonly ViewBundle[]): readonly ArrangedLayer[] {
  return views
    .map((view): ArrangedLayer => {
      const { part, bundle } = view;
      const content = { kind: "paths", storePaths: bundle.storePaths, view: part } as const;
      return { ...joined(bundle), holds: describeView(view), content };
    })
    .reverse();
}

function describeView({ part, bundle }: ViewBundle): string {
  if (part.kind === "database") return "database of Nix: /nix/var/nix";
  const paths = bundle.storePaths.length === 0 ? [] : [describePaths(bundle.storePaths)];
  const links = part.outputs.length === 0 ? [] : [`links: ${describePaths(part.outputs)}`];
  const ground = part.kind === "ground" ? ["base: /tmp, /etc/passwd"] : [];
  return [...ground, ...paths, ...links].join("; ");
}

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
