// What is known of the packages that names lead to: a tag's pins, lookups and records, all of them read
// from KV. Records are accepted only when their layers are in R2, so what is composed of them never
// names a missing layer.

import type { TagPins } from "../../registry/between/tag-pins.ts";
import { parseJson } from "../../registry/http/json.ts";
import { type CanonicalImage, canonicalImageOf } from "../../registry/image/canonical.ts";
import { parseFound } from "../../registry/image/lookup.ts";
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
import { readDocument } from "../storage/document.ts";
import { kvKey } from "../storage/keys.ts";
import { parseTagPins } from "../storage/tag-pins.ts";
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
  // As text, for one that is damaged must not take the other with it.
  const known = await attemptKv(edge, () => edge.kv.get(keys, "text"));
  const [latest, own] = keys.map((key) => parseTagPins(parseJson(known?.get(key) ?? "")));
  return { latest, own };
}

/** Whether each of the names is a package on one of the platforms, at a pin that the tag has. */
export async function areNamesKnown(
  edge: Edge,
  recipes: readonly Recipe[],
  tag: Tag,
): Promise<boolean> {
  const json = await attemptKv(edge, () => edge.kv.get(kvKey.tagPins(tag), "json"));
  const pins = parseTagPins(json)?.pins ?? [];
  const known = await knownNames(
    edge,
    recipes,
    pins.map(({ pin }) => pin),
  );
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
  const keys = pins.flatMap((pin) => recipes.flatMap((recipe) => lookupKeys(recipe, pin)));
  const json = await readJson(edge, [...new Set(keys)]);
  return pins.map((pin) =>
    recipes.map((recipe) => {
      const found = parseAll(json, lookupKeys(recipe, pin), parseFound);
      const asked = namesOf(recipe).flatMap((name, index) => {
        const lookup = found?.[index];
        return lookup === undefined ? [] : [{ name, found: lookup }];
      });
      return found && canonicalImageOf(recipe, asked);
    }),
  );
}

/** The records of all its parts in a packing; undefined as soon as one of them is unknown. */
export async function knownRecords(
  edge: Edge,
  { ingredients }: CanonicalImage,
  packing: PackingId,
): Promise<readonly PackageRecord[] | undefined> {
  const keys = await Promise.all(partsOf(ingredients).map((part) => kvKey.record(part, packing)));
  return parseAll(await readJson(edge, keys), keys, parsePackageRecord);
}

function lookupKeys(recipe: Recipe, pin: Pin): readonly string[] {
  const system = systemOf(recipe.architecture);
  return namesOf(recipe).map((name) => kvKey.lookup(pin, system, name));
}

/** Empty where KV says nothing. */
async function readJson(
  edge: Edge,
  keys: readonly string[],
): Promise<ReadonlyMap<string, unknown>> {
  const slices = Array.from({ length: Math.ceil(keys.length / MAX_KEYS_PER_READ) }, (_, index) =>
    keys.slice(index * MAX_KEYS_PER_READ, (index + 1) * MAX_KEYS_PER_READ),
  );
  const maps = await attemptKv(edge, () =>
    Promise.all(slices.map((slice) => edge.kv.getWithMetadata(slice, "text"))),
  );
  const documents = (maps ?? []).flatMap((map) => [...map]);
  return new Map(
    await Promise.all(
      documents.map(async ([key, found]) => {
        // Unlike what their types say, a local KV gives null for what it has not.
        const text = found?.value ?? null;
        const json = text === null ? null : await readDocument(edge, key, text, found.metadata);
        return [key, json] as const;
      }),
    ),
  );
}

/** The values of all keys in their order; undefined if one is absent or not what it should be. */
function parseAll<Value>(
  json: ReadonlyMap<string, unknown>,
  keys: readonly string[],
  parse: (json: unknown) => Value | undefined,
): readonly Value[] | undefined {
  const values: Value[] = [];
  for (const key of keys) {
    const value = parse(json.get(key));
    if (value === undefined) return undefined;
    values.push(value);
  }
  return values;
}
