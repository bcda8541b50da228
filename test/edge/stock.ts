// What an origin would hold after building some packages: layers with real bytes, records, lookups,
// and the images composed of them in Node.

import type { LookupsBody, PointersBody, RecordsBody } from "../../registry/between/backfill.ts";
import type { TagPins } from "../../registry/between/tag-pins.ts";
import { canonicalImageOf } from "../../registry/image/canonical.ts";
import { COMPOSE_VERSION, type ComposedImage, compose } from "../../registry/image/compose.ts";
import type { FoundPackage } from "../../registry/image/lookup.ts";
import { type Ingredient, outputsBrought, partName, partsOf } from "../../registry/image/part.ts";
import type { LayerRecord, PackageRecord } from "../../registry/image/record.ts";
import type { Variant } from "../../registry/image/variant.ts";
import { type Digest, digestHex, digestOf } from "../../registry/naming/digest.ts";
import type { Pin } from "../../registry/naming/pin.ts";
import {
  type Architecture,
  canonicalRecipe,
  namesOf,
  systemOf,
} from "../../registry/naming/recipe.ts";
import { storePathName } from "../../registry/naming/store-path.ts";
import { packingIdOf, recipeOf, storePathOf, tagOf } from "../registry/fixture.ts";

export interface Stock {
  readonly blobs: Map<Digest, Uint8Array>;
  readonly packings: TagPins["packings"];
  /** By the names of their parts. */
  readonly records: ReadonlyMap<string, PackageRecord>;
  readonly lookups: ReadonlyMap<string, FoundPackage>;
}

const ABOVE = [{ path: "/usr/bin", target: "../bin" }];
const VARIANT: Variant = "oci-zstd";
/** Its digest is in the packing, as that of an origin's popularity data is. */
export const POPULARITY = new TextEncoder().encode('{"scale":{},"counts":{}}');
const POPULARITY_DIGEST = await digestOf(POPULARITY);
export const PACKINGS: TagPins["packings"] = {
  zstd: packingIdOf(`zstd-packer-1.${digestHex(POPULARITY_DIGEST)}`),
  gzip: packingIdOf(`gzip-packer-1.${digestHex(POPULARITY_DIGEST)}`),
};

/**
 * Of these packages, and of what the front words need that stand in front of them. `edition` gives the same
 * packages other bytes, as a new revision of their source would; `lines` makes layers larger.
 */
export async function stockOf(names: readonly string[], edition = "", lines = 20): Promise<Stock> {
  const blobs = new Map<Digest, Uint8Array>([[POPULARITY_DIGEST, POPULARITY]]);
  const layer = async (text: string): Promise<LayerRecord> => {
    const bytes = new TextEncoder().encode(`${text}\n`.repeat(lines));
    const digest = await digestOf(bytes);
    blobs.set(digest, bytes);
    return {
      digest,
      diffId: await digestOf(new TextEncoder().encode(text)),
      sizeBytes: bytes.length,
    };
  };
  const lookups = new Map<string, FoundPackage>();
  for (const name of namesOf(recipeOf(names.join("/")))) {
    const storePath = storePathOf(`${name}-1.0${edition}`);
    lookups.set(name, {
      kind: "found",
      attribute: name,
      derivation: `${storePath}.drv`,
      outputs: [{ name: "out", path: storePath }],
      name,
      version: "1.0",
      description: null,
      licenses: [],
      mainProgram: null,
      homepage: null,
    });
  }
  const records = new Map<string, PackageRecord>();
  for (const part of partsOf(ingredientsOf(lookups, names.join("/")))) {
    const name = part.outputs.map(storePathName).join(" ");
    const [bundle, view] = [await layer(`bundle ${name}`), await layer(`view ${name}`)];
    records.set(partName(part), {
      ...part,
      form: "zstd",
      packing: PACKINGS.zstd,
      bundles: [
        { ...bundle, storePaths: outputsBrought(part), popularity: name.length, holdsView: false },
        { ...view, storePaths: [], popularity: 0, holdsView: true },
      ],
      coarser: [],
      provides: [],
      fallback: null,
      above: part.kind === "fhs" ? { links: ABOVE, layer: await layer(`above ${name}`) } : null,
      program: name,
      locale: { hasUtf8: false, hasZones: false, looksElsewhereForZones: false },
      modules: [],
    });
  }
  return { blobs, packings: PACKINGS, records, lookups };
}

function ingredientsOf(lookups: Stock["lookups"], repository: string): readonly Ingredient[] {
  const recipe = recipeOf(repository);
  const asked = namesOf(recipe).map((name) => {
    const found = lookups.get(name);
    if (found === undefined) throw new Error(`${name} is not in stock`);
    return { name, found };
  });
  return canonicalImageOf(recipe, asked).ingredients;
}

export async function imageOf(stock: Stock, repository: string): Promise<ComposedImage> {
  const ingredients = ingredientsOf(stock.lookups, repository);
  const records = partsOf(ingredients).map((part) => {
    const record = stock.records.get(partName(part));
    if (record === undefined) throw new Error(`${partName(part)} is not in stock`);
    return record;
  });
  const composed = await compose(recipeOf(repository), ingredients, records, VARIANT);
  if (composed.kind !== "image") throw new Error(composed.kind);
  return composed.image;
}

export function recordsBody(stock: Stock): RecordsBody {
  return { records: [...stock.records.values()] };
}

export function lookupsBody(
  stock: Stock,
  pin: Pin,
  architecture: Architecture = "amd64",
): LookupsBody {
  const { packages } = recipeOf([...stock.lookups.keys()].join("/"));
  const lookups = packages.flatMap((name) => {
    const found = stock.lookups.get(name);
    return found === undefined ? [] : [{ name, found }];
  });
  return { pin, system: systemOf(architecture), lookups };
}

export function tagPins(stock: Stock, pin: Pin, resolvedAtMs: number): TagPins {
  return {
    pins: [{ pin, resolvedAtMs }],
    packings: stock.packings,
    composeVersion: COMPOSE_VERSION,
  };
}

export function imagePointer(
  repository: string,
  tag: string,
  digest: Digest,
  pin: Pin,
  resolvedAtMs: number,
): NonNullable<PointersBody["image"]> {
  const recipe = canonicalRecipe(recipeOf(repository));
  const { zstd: packing } = PACKINGS;
  const name = { recipe, tag: tagOf(tag), variant: VARIANT };
  return { ...name, digest, pin, packing, resolvedAtMs, omitted: null };
}
