// What the names of recipes lead to at pins, by the lookups that came with images and by the package index:
// in a complete one an absent name is known to be absent. What neither says is unknown, and so is whatever
// of them is damaged.

import { type Found, isFound, type Lookup, parseFound } from "../../registry/image/lookup.ts";
import { type Digest, parseDigest } from "../../registry/naming/digest.ts";
import type { Pin } from "../../registry/naming/pin.ts";
import { namesOf, type PackageName, type Recipe, systemOf } from "../../registry/naming/recipe.ts";
import { answer, type Plan, plan, type Unnamed } from "../../registry/package-index/resolve.ts";
import { type IndexRoot, parseRoot } from "../../registry/package-index/root.ts";
import { readShard, type Shard } from "../../registry/package-index/shard.ts";
import type { Edge } from "../request/edge.ts";
import { type Reading, readTogether } from "../storage/document-reads.ts";
import { kvKey } from "../storage/keys.ts";

/** What a name leads to; what is absent, without the names that are near. */
export type Known = { readonly kind: "known"; readonly lookup: Lookup } | Unnamed;

export interface KnownName {
  readonly name: PackageName;
  /** Undefined of what is unknown. */
  readonly known: Known | undefined;
}

/** The names of one recipe at one pin. */
export interface KnownNames {
  readonly recipe: Recipe;
  readonly root: IndexRoot | undefined;
  readonly names: readonly KnownName[];
}

export interface NamedLookup {
  readonly name: PackageName;
  readonly lookup: Lookup;
}

/** As long as its shards may be read again: what is stored under a digest never changes. */
const SHARD_LIFE_MS = 3_600_000;

/**
 * For each pin and each recipe. All are read at once, however many pins there are: lookups and roots; then,
 * where a root was not known before, the shards. Of a complete index no lookups are read.
 */
export async function knownLookups(
  edge: Edge,
  recipes: readonly Recipe[],
  pins: readonly Pin[],
): Promise<readonly (readonly KnownNames[])[]> {
  const all = pins.map((pin) => recipes.map((recipe) => placeOf(edge, recipe, pin)));
  const places = all.flat();
  const sought = places.flatMap(({ names }) => names);
  const open = places.filter(({ names }) => names.some(({ isOpen }) => isOpen));
  let [lookups, rootsRead, shards] = await readTogether<[Found, IndexRoot, Shard]>(edge, [
    lookupReading(
      edge,
      sought.filter(({ isIndexed }) => !isIndexed).map(({ key }) => key),
    ),
    { memory: edge.roots, keys: open.map(({ rootKey }) => rootKey), parse: parseRoot },
    shardReading(
      edge,
      sought.flatMap(({ planned }) => shardKeys(planned)),
    ),
  ]);
  for (const place of places) place.root ??= rootsRead.get(place.rootKey);
  const answered = (place: Place, name: Sought) => {
    name.known ??= knownOf(place, name, lookups, shards);
    return name.known;
  };

  const unanswered = places.flatMap((place) => {
    const { root } = place;
    if (root === undefined) return [];
    for (const each of place.names) each.planned ??= plan(root, each.name);
    return place.names.filter((each) => answered(place, each) === undefined);
  });
  if (unanswered.length > 0) {
    const [moreLookups, moreShards] = await readTogether<[Found, Shard]>(edge, [
      lookupReading(
        edge,
        unanswered.map(({ key }) => key),
      ),
      shardReading(
        edge,
        unanswered.flatMap(({ planned }) => shardKeys(planned)),
      ),
    ]);
    lookups = new Map([...lookups, ...moreLookups]);
    shards = new Map([...shards, ...moreShards]);
  }
  return all.map((each) =>
    each.map((place) => ({
      recipe: place.recipe,
      root: place.root,
      names: place.names.map((name) => ({ name: name.name, known: answered(place, name) })),
    })),
  );
}

interface Sought {
  readonly name: PackageName;
  /** Of its lookup. */
  readonly key: string;
  planned: Plan | undefined;
  /** What was found out of it so far. */
  known?: Known | undefined;
  /** The index says all there is to say. */
  readonly isIndexed: boolean;
  /** Its lookup is not remembered. */
  readonly isOpen: boolean;
}

interface Place {
  readonly recipe: Recipe;
  readonly rootKey: string;
  root: IndexRoot | undefined;
  readonly names: readonly Sought[];
}

function placeOf(edge: Edge, recipe: Recipe, pin: Pin): Place {
  const system = systemOf(recipe.architecture);
  const rootKey = kvKey.index(pin, system);
  const root = edge.roots.lookup(rootKey, edge.now());
  const names = namesOf(recipe).map((name) => {
    const key = kvKey.lookup(pin, system, name);
    const isOpen = edge.lookups.lookup(key, edge.now()) === undefined;
    const planned = root && isOpen ? plan(root, name) : undefined;
    const isIndexed = root?.isComplete === true && planned?.kind === "look";
    return { name, key, planned, isIndexed, isOpen };
  });
  return { recipe, rootKey, root, names };
}

function lookupReading(edge: Edge, keys: readonly string[]): Reading<Found> {
  return { memory: edge.lookups, keys, parse: parseFound };
}

function shardReading(edge: Edge, keys: readonly string[]): Reading<Shard> {
  const parse = readShard;
  return {
    memory: edge.shards,
    keys: admitted(edge, keys),
    parse,
    lifeMs: SHARD_LIFE_MS,
    digestOf,
  };
}

function digestOf(key: string): Digest | undefined {
  return parseDigest(`sha256:${key.slice(key.indexOf("/") + 1)}`);
}

/** Those that are not remembered, as far as this request may still read some. */
function admitted(edge: Edge, keys: readonly string[]): readonly string[] {
  return [...new Set(keys)].filter((key) => {
    if (edge.shards.lookup(key, edge.now()) !== undefined) return true;
    if (edge.reads.absent.has(key)) return false;
    edge.reads.shardsLeft -= 1;
    return edge.reads.shardsLeft >= 0;
  });
}

function shardKeys(planned: Plan | undefined): readonly string[] {
  return planned?.kind === "look" && planned.shard !== undefined
    ? [kvKey.indexObject(planned.shard.digest)]
    : [];
}

function knownOf(
  { root }: Place,
  { key, planned }: Sought,
  lookups: ReadonlyMap<string, Found>,
  shards: ReadonlyMap<string, Shard>,
): Known | undefined {
  const found = lookups.get(key);
  if (found !== undefined) return { kind: "known", lookup: found };
  if (root === undefined || planned?.kind !== "look") return undefined;
  const [shardKey] = shardKeys(planned);
  const shard = shardKey === undefined ? undefined : shards.get(shardKey);
  if (shardKey !== undefined && shard === undefined) return undefined;
  const said = answer(root, planned, shard);
  switch (said.kind) {
    case "unknown":
      return undefined;
    case "said":
      return isLasting(said.lookup) ? { kind: "known", lookup: said.lookup } : undefined;
    default:
      return said;
  }
}

/** What did not evaluate may have been for want of something at that moment. */
function isLasting(lookup: Lookup): boolean {
  return lookup.kind !== "evaluation-failed";
}

/** All of them, those that are absent without the names that are near; undefined where one is unknown. */
export function lookupsOf({ names }: KnownNames): readonly NamedLookup[] | undefined {
  const lookups = names.flatMap(({ name, known }) =>
    known === undefined ? [] : [{ name, lookup: lookupWithoutNear(known) }],
  );
  return lookups.length === names.length ? lookups : undefined;
}

function lookupWithoutNear(known: Known): Lookup {
  switch (known.kind) {
    case "known":
      return known.lookup;
    case "missing":
      return { kind: "missing", near: [] };
    case "set":
      return { kind: "not-a-package", what: "set", near: [] };
    default:
      return known satisfies never;
  }
}

/** Of these the ones that lead to something. */
export function foundOf(
  lookups: readonly NamedLookup[],
): readonly { readonly name: PackageName; readonly found: Found }[] {
  return lookups.flatMap(({ name, lookup }) => (isFound(lookup) ? [{ name, found: lookup }] : []));
}
