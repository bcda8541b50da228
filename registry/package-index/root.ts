// The root of a package index: which shards there are, and what of a set is needed beside them to tell what
// a name means. One small object for each pin and system, and the only one that is ever replaced.

import * as v from "valibot";
import { parseJson } from "../http/json.ts";
import { digestSchema } from "../image/record.ts";
import { compare } from "../naming/compare.ts";
import { type Digest, digestHex, parseDigest } from "../naming/digest.ts";
import { type Pin, pinSchema } from "../naming/pin.ts";
import { SYSTEMS, type System } from "../naming/recipe.ts";
import { foldAttribute } from "./fold.ts";

export interface StoredObject {
  readonly digest: Digest;
  /** Of the bytes that have the digest, which may be stored and sent compressed. */
  readonly sizeBytes: number;
}

export interface ShardRef extends StoredObject {
  /** The fold that it begins with; the first begins with nothing. */
  readonly from: string;
}

/** An attribute set that is no package. */
export interface IndexedSet {
  /** As `attributeName` writes it. */
  readonly path: string;
  /** All its names are in the index, and it is the only attribute that is spelled like that. */
  readonly isListed: boolean;
}

export interface IndexRoot {
  readonly pin: Pin;
  readonly system: System;
  /** What is not in it is not in the set. */
  readonly isComplete: boolean;
  readonly madeAtMs: number;
  /** Of entries. */
  readonly count: number;
  /** The attributes of `nixportImages`, which go before packages. */
  readonly images: readonly string[];
  /** In the order of their folds. */
  readonly sets: readonly IndexedSet[];
  readonly shards: readonly ShardRef[];
  readonly names: StoredObject;
  readonly texts: StoredObject;
}

export const MAX_INDEX_ENTRIES = 1_000_000;
export const MAX_ROOT_BYTES = 8 * 1024 * 1024;
const MAX_SHARDS = 4096;
const MAX_SETS = 50_000;
const MAX_IMAGES = 10_000;
const FORMAT = 1;
const HEX_LENGTH = 64;

export function encodeRoot(root: IndexRoot): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(rootJson(root)));
}

/** As it is stored: hashes side by side compress best. */
export function rootJson(root: IndexRoot): unknown {
  const { pin, system, isComplete, madeAtMs, count, images, sets, shards, names, texts } = root;
  return {
    format: FORMAT,
    ...{ pin, system, isComplete, madeAtMs, count, images },
    listed: sets.filter(({ isListed }) => isListed).map(({ path }) => path),
    unlisted: sets.filter(({ isListed }) => !isListed).map(({ path }) => path),
    froms: shards.map(({ from }) => from),
    sizes: shards.map(({ sizeBytes }) => sizeBytes),
    digests: shards.map(({ digest }) => digestHex(digest)).join(""),
    ...{ names, texts },
  };
}

const size = v.pipe(v.number(), v.integer(), v.minValue(0));
const object = v.object({ digest: digestSchema, sizeBytes: size });
const names = (most: number) =>
  v.pipe(v.array(v.pipe(v.string(), v.maxLength(512))), v.maxLength(most));
const rootSchema = v.object({
  format: v.literal(FORMAT),
  pin: pinSchema,
  system: v.picklist(SYSTEMS),
  isComplete: v.boolean(),
  madeAtMs: v.number(),
  count: v.pipe(size, v.maxValue(MAX_INDEX_ENTRIES)),
  images: names(MAX_IMAGES),
  listed: names(MAX_SETS),
  unlisted: names(MAX_SETS),
  froms: names(MAX_SHARDS),
  sizes: v.pipe(v.array(size), v.maxLength(MAX_SHARDS)),
  digests: v.pipe(v.string(), v.maxLength(MAX_SHARDS * HEX_LENGTH), v.regex(/^(?:[0-9a-f]{64})*$/)),
  names: object,
  texts: object,
});

export function decodeRoot(bytes: Uint8Array): IndexRoot | undefined {
  return bytes.length > MAX_ROOT_BYTES ? undefined : parseRoot(parseJson(bytes));
}

/** Undefined for what is no root of this format. */
export function parseRoot(json: unknown): IndexRoot | undefined {
  const parsed = v.safeParse(rootSchema, json);
  if (!parsed.success) return undefined;
  const { format: _, listed, unlisted, froms, sizes, digests, ...root } = parsed.output;
  const shards = froms.flatMap((from, place): ShardRef[] => {
    const digest = parseDigest(
      `sha256:${digests.slice(HEX_LENGTH * place, HEX_LENGTH * (place + 1))}`,
    );
    const sizeBytes = sizes[place];
    return digest === undefined || sizeBytes === undefined ? [] : [{ from, digest, sizeBytes }];
  });
  const isWhole = [sizes.length, digests.length / HEX_LENGTH, shards.length].every(
    (count) => count === froms.length,
  );
  const isSorted = froms.every((from, place) =>
    place === 0 ? from === "" : (froms[place - 1] ?? "") < from,
  );
  if (!isWhole || !isSorted) return undefined;
  const sets = sortSets([
    ...listed.map((path) => ({ path, isListed: true })),
    ...unlisted.map((path) => ({ path, isListed: false })),
  ]);
  return { ...root, sets, shards };
}

export function sortSets(sets: readonly IndexedSet[]): readonly IndexedSet[] {
  return sets
    .map((set) => ({ set, fold: foldAttribute(set.path) }))
    .sort((a, b) => compare(a.fold, b.fold) || compare(a.set.path, b.set.path))
    .map(({ set }) => set);
}

/** The one shard that has all attributes of this fold, if any has; undefined of an index without any. */
export function shardFor({ shards }: IndexRoot, fold: string): ShardRef | undefined {
  return shards[lastNotAfter(shards.length, (place) => shards[place]?.from ?? "", fold)];
}

/** The sets that are spelled alike. */
export function setsSpelled({ sets }: IndexRoot, fold: string): readonly IndexedSet[] {
  const foldAt = (place: number) => foldAttribute(sets[place]?.path ?? "");
  const spelled: IndexedSet[] = [];
  for (let place = lastNotAfter(sets.length, foldAt, fold); place >= 0; place -= 1) {
    const set = sets[place];
    if (set === undefined || foldAt(place) !== fold) break;
    spelled.unshift(set);
  }
  return spelled;
}

function lastNotAfter(count: number, foldAt: (place: number) => string, fold: string): number {
  let [low, high] = [0, count];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (foldAt(middle) <= fold) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
