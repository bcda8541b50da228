// What makes one object of an index of another, so that what changed travels alone. Whoever applies one
// compares the result with its digest: then it does not matter what it was applied to.

import * as v from "valibot";
import { digestSchema } from "../image/record.ts";
import type { Digest } from "../naming/digest.ts";
import { attributesIn, encodeNames, readNames } from "./names.ts";
import { MAX_INDEX_ENTRIES } from "./root.ts";
import {
  columnsOf,
  encodeShard,
  type IndexEntry,
  MAX_SHARD_ENTRIES,
  parseEntries,
  parseShard,
  sortEntries,
} from "./shard.ts";
import { encodeTexts, type PackageText, packageText, readTexts, textLines } from "./texts.ts";

export type ObjectKind = "shard" | "names" | "texts";

/** Its bytes are those of the digest, whatever it was compressed with on the way. */
export interface IndexObject {
  readonly kind: ObjectKind;
  readonly digest: Digest;
  readonly bytes: Uint8Array;
}

export type IndexPatch = {
  /** Null for one that is made of nothing. */
  readonly base: Digest | null;
  /** Of what it makes. */
  readonly digest: Digest;
  /** Attributes. */
  readonly removed: readonly string[];
} & (
  | { readonly kind: "shard"; readonly entries: readonly IndexEntry[] }
  | { readonly kind: "names"; readonly added: readonly string[] }
  | { readonly kind: "texts"; readonly texts: readonly PackageText[] }
);

/** Of two objects of one kind that are as they were written. */
export function patchBetween(base: IndexObject | null, next: IndexObject): IndexPatch {
  const between = { base: base?.digest ?? null, digest: next.digest };
  switch (next.kind) {
    case "shard": {
      const { removed, changed } = difference(shardRows(base?.bytes), shardRows(next.bytes));
      return { ...between, kind: next.kind, removed, entries: changed };
    }
    case "names": {
      const { removed, changed } = difference(nameRows(base?.bytes), nameRows(next.bytes));
      return { ...between, kind: next.kind, removed, added: changed };
    }
    case "texts": {
      const { removed, changed } = difference(textRows(base?.bytes), textRows(next.bytes));
      return { ...between, kind: next.kind, removed, texts: changed };
    }
    default:
      return next.kind satisfies never;
  }
}

/** The bytes that should have the patch's digest; undefined where the base is not what it seems. */
export function applyPatch(patch: IndexPatch, base: Uint8Array | null): Uint8Array | undefined {
  try {
    switch (patch.kind) {
      case "shard": {
        const changed = patch.entries.map((entry) => [entry.attribute, entry] as const);
        const rows = merged(shardRows(base ?? undefined), patch.removed, changed);
        return encodeShard(sortEntries([...rows.values()]));
      }
      case "names": {
        const changed = patch.added.map((name) => [name, name] as const);
        return encodeNames([
          ...merged(nameRows(base ?? undefined), patch.removed, changed).values(),
        ]);
      }
      case "texts": {
        const changed = patch.texts.map((text) => [text.attribute, text] as const);
        return encodeTexts([
          ...merged(textRows(base ?? undefined), patch.removed, changed).values(),
        ]);
      }
      default:
        return patch satisfies never;
    }
  } catch (error) {
    if (error instanceof NoObject) return undefined;
    throw error;
  }
}

class NoObject extends Error {}

type Rows<Row> = ReadonlyMap<string, Row>;

function shardRows(bytes: Uint8Array | undefined): Rows<IndexEntry> {
  return rows(bytes && parseShard(bytes), bytes, ({ attribute }) => attribute);
}

function nameRows(bytes: Uint8Array | undefined): Rows<string> {
  const names = bytes && readNames(bytes);
  return rows(names === undefined ? undefined : attributesIn(names), bytes, (name) => name);
}

function textRows(bytes: Uint8Array | undefined): Rows<PackageText> {
  const texts = bytes && readTexts(bytes);
  const read = texts === undefined ? undefined : textLines(texts).map(packageText);
  return rows(read, bytes, ({ attribute }) => attribute);
}

function rows<Row>(
  read: readonly Row[] | undefined,
  bytes: Uint8Array | undefined,
  keyOf: (row: Row) => string,
): Rows<Row> {
  if (read === undefined && bytes !== undefined) throw new NoObject("no object of an index");
  return new Map((read ?? []).map((row) => [keyOf(row), row]));
}

function difference<Row>(
  base: Rows<Row>,
  next: Rows<Row>,
): { readonly removed: readonly string[]; readonly changed: readonly Row[] } {
  const same = (key: string, row: Row) => JSON.stringify(base.get(key)) === JSON.stringify(row);
  return {
    removed: [...base.keys()].filter((key) => !next.has(key)),
    changed: [...next].filter(([key, row]) => !same(key, row)).map(([, row]) => row),
  };
}

function merged<Row>(
  base: Rows<Row>,
  removed: readonly string[],
  changed: readonly (readonly [string, Row])[],
): Rows<Row> {
  const rows = new Map(base);
  for (const key of removed) rows.delete(key);
  for (const [key, row] of changed) rows.set(key, row);
  return rows;
}

/** As it is sent. */
export function patchJson(patch: IndexPatch): unknown {
  return patch.kind === "shard" ? { ...patch, entries: columnsOf(patch.entries) } : patch;
}

const attributes = v.pipe(
  v.array(v.pipe(v.string(), v.minLength(1), v.maxLength(512))),
  v.maxLength(MAX_INDEX_ENTRIES),
);
const common = { base: v.nullable(digestSchema), digest: digestSchema, removed: attributes };
const text = v.nullable(v.pipe(v.string(), v.maxLength(1024)));
const patchSchema = v.variant("kind", [
  v.object({ ...common, kind: v.literal("shard"), entries: v.unknown() }),
  v.object({ ...common, kind: v.literal("names"), added: attributes }),
  v.object({
    ...common,
    kind: v.literal("texts"),
    texts: v.pipe(
      v.array(
        v.object({
          attribute: v.pipe(v.string(), v.maxLength(512)),
          ...{ program: text, description: text, others: attributes },
        }),
      ),
      v.maxLength(MAX_INDEX_ENTRIES),
    ),
  }),
]);

export function parsePatch(json: unknown): IndexPatch | undefined {
  const parsed = v.safeParse(patchSchema, json);
  if (!parsed.success) return undefined;
  const patch = parsed.output;
  if (patch.kind !== "shard") return patch;
  const entries = parseEntries(patch.entries);
  if (entries === undefined || patch.removed.length > MAX_SHARD_ENTRIES) return undefined;
  return { ...patch, entries };
}
