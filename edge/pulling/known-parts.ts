// What is known of the packages that names lead to: a tag's pins, lookups and records, all of them read
// from KV. Records are accepted only when their layers are in R2, so what is composed of them never
// names a missing layer.

import * as v from "valibot";
import { type TagPins, tagPinsSchema } from "../../registry/between/tag-pins.ts";
import { type CanonicalImage, canonicalImageOf } from "../../registry/image/canonical.ts";
import { type Found, parseFound } from "../../registry/image/lookup.ts";
import { partsOf } from "../../registry/image/part.ts";
import {
  type PackageRecord,
  type PackingId,
  parsePackageRecord,
} from "../../registry/image/record.ts";
import type { Pin } from "../../registry/naming/pin.ts";
import { namesOf, type Recipe, systemOf } from "../../registry/naming/recipe.ts";
import type { Tag } from "../../registry/naming/reference.ts";
import type { Edge } from "../request/edge.ts";
import { kvKey } from "../storage/keys.ts";
import { attemptKv } from "../storage/tiers.ts";

/** KV's limit on one bulk read. */
const MAX_KEYS_PER_READ = 100;

export interface KnownPins {
  /** Of all tags, those that came last. */
  readonly latest: TagPins | undefined;
  readonly own: TagPins | undefined;
}

export async function knownPins(edge: Edge, tag: Tag | null): Promise<KnownPins> {
  const ownKey = tag === null ? [] : [kvKey.tagPins(tag)];
  const keys = [kvKey.latestPins, ...ownKey];
  const known = await attemptKv(edge, () => edge.kv.get(keys, "json"));
  const [latest, own] = keys.map((key) => parseTagPins(known?.get(key)));
  return { latest, own };
}

function parseTagPins(json: unknown): TagPins | undefined {
  const parsed = v.safeParse(tagPinsSchema, json);
  return parsed.success ? parsed.output : undefined;
}

/** Whether each of the names is a package on one of the platforms, at a pin that the tag has. */
export async function areNamesKnown(
  edge: Edge,
  recipes: readonly Recipe[],
  tag: Tag,
): Promise<boolean> {
  const json = await attemptKv(edge, () => edge.kv.get(kvKey.tagPins(tag), "json"));
  for (const { pin } of parseTagPins(json)?.pins ?? []) {
    const found = await Promise.all(recipes.map((recipe) => readLookups(edge, recipe, pin)));
    if (found.some((each) => each !== undefined)) return true;
  }
  return false;
}

/** What all names of a recipe lead to at a pin; undefined as soon as one of them is unknown. */
export async function knownNames(
  edge: Edge,
  recipe: Recipe,
  pin: Pin,
): Promise<CanonicalImage | undefined> {
  const found = await readLookups(edge, recipe, pin);
  if (found === undefined) return undefined;
  const asked = namesOf(recipe).flatMap((name, index) => {
    const lookup = found[index];
    return lookup === undefined ? [] : [{ name, found: lookup }];
  });
  return canonicalImageOf(recipe, asked);
}

/** The records of all its parts in a packing; undefined as soon as one of them is unknown. */
export async function knownRecords(
  edge: Edge,
  { ingredients }: CanonicalImage,
  packing: PackingId,
): Promise<readonly PackageRecord[] | undefined> {
  const keys = await Promise.all(partsOf(ingredients).map((part) => kvKey.record(part, packing)));
  return readAll<PackageRecord>(edge, keys, parsePackageRecord);
}

function readLookups(edge: Edge, recipe: Recipe, pin: Pin) {
  const system = systemOf(recipe.architecture);
  const keys = namesOf(recipe).map((name) => kvKey.lookup(pin, system, name));
  return readAll<Found>(edge, keys, parseFound);
}

/** The values of all keys in their order; undefined if one is absent or not what it should be. */
async function readAll<Value>(
  edge: Edge,
  keys: readonly string[],
  parse: (json: unknown) => Value | undefined,
): Promise<readonly Value[] | undefined> {
  const slices = Array.from({ length: Math.ceil(keys.length / MAX_KEYS_PER_READ) }, (_, index) =>
    keys.slice(index * MAX_KEYS_PER_READ, (index + 1) * MAX_KEYS_PER_READ),
  );
  const maps = await attemptKv(edge, () =>
    Promise.all(slices.map((slice) => edge.kv.get<unknown>(slice, "json"))),
  );
  if (maps === undefined) return undefined;
  const json = new Map(maps.flatMap((map) => [...map]));
  const values: Value[] = [];
  for (const key of keys) {
    const value = parse(json.get(key));
    if (value === undefined) return undefined;
    values.push(value);
  }
  return values;
}
