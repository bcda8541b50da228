// What is known of the packages that names lead to: a tag's pins, lookups and records, all of them read
// from KV; of a set that has a package index, what that says in place of lookups. Records are accepted only when their layers are in R2, so what is composed of them never
// names a missing layer.

import type { TagPins } from "../../registry/between/tag-pins.ts";
import { failedLookups } from "../../registry/failures/failed-lookups.ts";
import { type CanonicalImage, canonicalImageOf } from "../../registry/image/canonical.ts";
import { partsOf } from "../../registry/image/part.ts";
import {
  type PackageRecord,
  type PackingId,
  parsePackageRecord,
} from "../../registry/image/record.ts";
import type { Pin } from "../../registry/naming/pin.ts";
import type { Recipe } from "../../registry/naming/recipe.ts";
import type { Tag } from "../../registry/naming/reference.ts";
import {
  foundOf,
  type KnownNames,
  knownLookups,
  lookupsOf,
} from "../package-index/known-lookups.ts";
import type { Edge } from "../request/edge.ts";
import { readDocuments } from "../storage/document-reads.ts";
import { kvKey } from "../storage/keys.ts";
import { readTagPins } from "../storage/tag-pins.ts";

export interface KnownPins {
  /** Of all tags, those that came last. */
  readonly latest: TagPins | undefined;
  readonly own: TagPins | undefined;
}

export async function knownPins(edge: Edge, tag: Tag | null): Promise<KnownPins> {
  const ownKey = tag === null ? [] : [kvKey.tagPins(tag)];
  const [latest, own] = await readTagPins(edge, [kvKey.latestPins, ...ownKey]);
  return { latest, own };
}

/** Whether each of the names is a package on one of the platforms, at a pin that the tag has. */
export async function areNamesKnown(
  edge: Edge,
  recipes: readonly Recipe[],
  tag: Tag,
): Promise<boolean> {
  const [own] = await readTagPins(edge, [kvKey.tagPins(tag)]);
  const pins = (own?.pins ?? []).map(({ pin }) => pin);
  const known = await knownNames(edge, recipes, pins);
  return known.flat().some((each) => each !== undefined);
}

/**
 * What all names of each recipe lead to at each pin, in their order; undefined as soon as one of them is
 * unknown. All are read at once, however many pins there are.
 */
export async function knownNames(
  edge: Edge,
  recipes: readonly Recipe[],
  pins: readonly Pin[],
): Promise<readonly (readonly (CanonicalImage | undefined)[])[]> {
  const known = await knownLookups(edge, recipes, pins);
  return known.map((each) => each.map(canonicalOf));
}

/** Without what every image has where the set has it, where it is known not to. */
function canonicalOf(known: KnownNames): CanonicalImage | undefined {
  const { recipe } = known;
  const lookups = lookupsOf(known);
  if (lookups === undefined || failedLookups(recipe, lookups).length > 0) return undefined;
  return canonicalImageOf(recipe, foundOf(lookups));
}

/** An image whose parts are wanted in a packing. */
export interface PackedImage {
  readonly image: CanonicalImage;
  readonly packing: PackingId;
}

/**
 * The records of all parts of each image; undefined where one of them is unknown. All are read at once,
 * and remembered: what an image may be is read together, and composed one after another.
 */
export async function knownRecords(
  edge: Edge,
  images: readonly PackedImage[],
): Promise<readonly (readonly PackageRecord[] | undefined)[]> {
  const keys = await Promise.all(
    images.map(({ image, packing }) =>
      Promise.all(partsOf(image.ingredients).map((part) => kvKey.record(part, packing))),
    ),
  );
  const known = await readDocuments(edge, {
    memory: edge.records,
    keys: keys.flat(),
    parse: parsePackageRecord,
  });
  return keys.map((own) => allOf(known, own));
}

/** The values of all keys in their order; undefined if one is absent. */
function allOf<Value>(
  known: ReadonlyMap<string, Value>,
  keys: readonly string[],
): readonly Value[] | undefined {
  const values = keys.flatMap((key) => known.get(key) ?? []);
  return values.length === keys.length ? values : undefined;
}
