// A shard of a package index: what a pin says of the attributes of one stretch of its set. Written as one
// array for each field, since alike things beside each other compress best, and without what follows from
// the rest: a package costs little more than its two hashes, its version and its description.

import * as v from "valibot";
import { parseJson } from "../http/json.ts";
import { type FoundPackage, type Lookup, parseLookup, webAddress } from "../image/lookup.ts";
import { attributePath } from "../naming/attribute.ts";
import { compare } from "../naming/compare.ts";
import { parseStorePath, type StorePath } from "../naming/store-path.ts";
import { foldAttribute, foldPart } from "./fold.ts";

/** What is said of an attribute; `unexplained`: it was not found out, so whoever wants it has to ask. */
export type Said = Lookup | { readonly kind: "unexplained" };

export interface IndexEntry {
  /** Its path in the set, as `attributeName` writes it. */
  readonly attribute: string;
  readonly said: Said;
  /** The attribute that the package is known by, of which this is another name. */
  readonly also?: string;
}

/** Read entry by entry: who wants one package of some hundreds pays for one. */
export interface Shard {
  readonly count: number;
  attributeAt(place: number): string;
  /** Undefined for one that is not as it was written. */
  entryAt(place: number): IndexEntry | undefined;
}

export const MAX_SHARD_ENTRIES = 8192;
const MAX_SHARD_BYTES = 8 * 1024 * 1024;

const FORMAT = 1;
const HASH_LENGTH = 32;
const STORE = "/nix/store/";
const HASHES = /^[0-9abcdfghijklmnpqrsvwxyz]*$/;

/** By fold, then by bytes; of all entries no two are of one attribute. */
export function sortEntries(entries: readonly IndexEntry[]): readonly IndexEntry[] {
  return entries
    .map((entry) => ({ entry, fold: foldAttribute(entry.attribute) }))
    .sort((a, b) => compare(a.fold, b.fold) || compare(a.entry.attribute, b.entry.attribute))
    .map(({ entry }) => entry);
}

/** The same bytes for the same entries, in the order that `sortEntries` gives. */
export function encodeShard(entries: readonly IndexEntry[]): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(columnsOf(entries)));
}

/** All entries, in order; undefined for what is no shard of this format, or has one that is wrong. */
export function parseShard(bytes: Uint8Array): readonly IndexEntry[] | undefined {
  if (bytes.length > MAX_SHARD_BYTES) return undefined;
  return parseEntries(parseJson(bytes));
}

/** The same of columns that are part of something else. */
export function parseEntries(json: unknown): readonly IndexEntry[] | undefined {
  const shard = readShard(json);
  if (shard === undefined) return undefined;
  const entries: IndexEntry[] = [];
  let last = { fold: "", attribute: "" };
  for (let place = 0; place < shard.count; place += 1) {
    const entry = shard.entryAt(place);
    if (entry === undefined) return undefined;
    const { attribute } = entry;
    const fold = foldAttribute(attribute);
    if ((compare(last.fold, fold) || compare(last.attribute, attribute)) >= 0) return undefined;
    last = { fold, attribute };
    entries.push(entry);
  }
  return entries;
}

/** The first place of an entry that has this fold or a later one. */
function placeOf(shard: Shard, fold: string): number {
  let [low, high] = [0, shard.count];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (foldAttribute(shard.attributeAt(middle)) < fold) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** All that are spelled alike; undefined where one of them is not as it was written. */
export function entriesSpelled(shard: Shard, fold: string): readonly IndexEntry[] | undefined {
  const entries: IndexEntry[] = [];
  for (let place = placeOf(shard, fold); place < shard.count; place += 1) {
    if (foldAttribute(shard.attributeAt(place)) !== fold) break;
    const entry = shard.entryAt(place);
    if (entry === undefined) return undefined;
    entries.push(entry);
  }
  return entries;
}

/** A column of packages has 0 where the value is the one that is expected. */
type Expected = 0;

/** One output, by its name where its path has the derivation's, else with the path. */
type WrittenOutput = string | readonly [name: string, path: string];

export interface Columns {
  readonly format: typeof FORMAT;
  readonly attributes: readonly string[];
  /** What is no package that was found, by its place. */
  readonly others: readonly (readonly [place: number, said: Exclude<Said, FoundPackage>])[];
  /** By place: the attribute that it is known by. */
  readonly also: readonly (readonly [place: number, attribute: string])[];
  // The columns of what was found, in order.
  /** By number of the package: the attribute that its lookup says, where that is not its own. */
  readonly canonical: readonly (readonly [number: number, attribute: string])[];
  /** 0: the last part of the attribute; 1: the same, folded. */
  readonly names: readonly (Expected | 1 | string)[];
  readonly versions: readonly (string | null)[];
  readonly descriptions: readonly (string | null)[];
  readonly licenseLists: readonly (readonly string[])[];
  readonly licenses: readonly number[];
  /** 0: as the package. */
  readonly programs: readonly (Expected | string | null)[];
  readonly homepages: readonly (string | null)[];
  /** Of its store paths: 0 is name and version; a text stands before these; a list has another one whole. */
  readonly stems: readonly (Expected | string | readonly [string])[];
  /** 0: the default output alone. */
  readonly outputs: readonly (Expected | readonly WrittenOutput[])[];
  /** By number: a derivation that is none of the package's name. */
  readonly derivations: readonly (readonly [number: number, derivation: string])[];
  /** Of each package that of its derivation and those of its outputs, but for what is written whole. */
  readonly hashes: string;
}

/** As JSON has them: of entries in order. */
export function columnsOf(entries: readonly IndexEntry[]): Columns {
  const lists = new Map<string, number>();
  const columns = {
    format: FORMAT as typeof FORMAT,
    attributes: entries.map(({ attribute }) => attribute),
    others: [] as [number, Exclude<Said, FoundPackage>][],
    also: [] as [number, string][],
    canonical: [] as [number, string][],
    names: [] as (0 | 1 | string)[],
    versions: [] as (string | null)[],
    descriptions: [] as (string | null)[],
    licenseLists: [] as (readonly string[])[],
    licenses: [] as number[],
    programs: [] as (0 | string | null)[],
    homepages: [] as (string | null)[],
    stems: [] as (0 | string | [string])[],
    outputs: [] as (0 | WrittenOutput[])[],
    derivations: [] as [number, string][],
  };
  const hashes: string[] = [];
  for (const [place, { attribute, said, also }] of entries.entries()) {
    if (also !== undefined) columns.also.push([place, also]);
    if (said.kind !== "found") {
      columns.others.push([place, said]);
      continue;
    }
    const number = columns.names.length;
    if (said.attribute !== attribute) columns.canonical.push([number, said.attribute]);
    columns.names.push(writtenName(said.name, attribute));
    columns.versions.push(said.version);
    columns.descriptions.push(said.description);
    const list = JSON.stringify(said.licenses);
    if (!lists.has(list)) {
      lists.set(list, lists.size);
      columns.licenseLists.push(said.licenses);
    }
    columns.licenses.push(lists.get(list) ?? 0);
    columns.programs.push(said.mainProgram === said.name ? 0 : said.mainProgram);
    columns.homepages.push(said.homepage);
    const derivation = hashed(said.derivation, ".drv");
    const expected = expectedStem(said.name, said.version);
    const stem = derivation?.stem ?? expected;
    columns.stems.push(writtenStem(stem, expected));
    if (derivation === undefined) columns.derivations.push([number, said.derivation]);
    else hashes.push(derivation.hash);
    const written = said.outputs.map(({ name, path }): WrittenOutput => {
      const output = hashed(path, "");
      if (output?.stem !== outputStem(stem, name)) return [name, path];
      hashes.push(output.hash);
      return name;
    });
    columns.outputs.push(written.length === 1 && written[0] === "out" ? 0 : written);
  }
  return { ...columns, hashes: hashes.join("") };
}

function writtenName(name: string, attribute: string): Columns["names"][number] {
  const last = attributePath(attribute).at(-1) ?? "";
  return name === last ? 0 : name === foldPart(last) ? 1 : name;
}

function writtenStem(stem: string, expected: string): 0 | string | [string] {
  if (stem === expected) return 0;
  return stem.endsWith(expected) ? stem.slice(0, stem.length - expected.length) : [stem];
}

function expectedStem(name: string, version: string | null): string {
  return version === null ? name : `${name}-${version}`;
}

function outputStem(stem: string, output: string): string {
  return output === "out" ? stem : `${stem}-${output}`;
}

interface HashedPath {
  readonly hash: string;
  readonly stem: string;
}

function hashed(path: string, suffix: string): HashedPath | undefined {
  if (parseStorePath(path) === undefined || !path.endsWith(suffix)) return undefined;
  const start = STORE.length + HASH_LENGTH;
  const stem = path.slice(start + 1, path.length - suffix.length);
  return { hash: path.slice(STORE.length, start), stem };
}

// No longer than a lookup is (lookup.ts, and what the origin cuts).
const text = (most: number) => v.pipe(v.string(), v.maxLength(most));
const attribute = text(512);
const MAX_ITEMS = 64;
const place = v.pipe(v.number(), v.integer(), v.minValue(0));

const columnsSchema: v.GenericSchema<unknown, Columns> = v.object({
  format: v.literal(FORMAT),
  attributes: v.pipe(v.array(attribute), v.maxLength(MAX_SHARD_ENTRIES)),
  // Read one by one, when they are asked for.
  others: v.array(
    v.tuple([place, v.custom<Exclude<Said, FoundPackage>>((said) => typeof said === "object")]),
  ),
  also: v.array(v.tuple([place, attribute])),
  canonical: v.array(v.tuple([place, attribute])),
  names: v.array(v.union([v.literal(0), v.literal(1), text(256)])),
  versions: v.array(v.nullable(text(128))),
  descriptions: v.array(v.nullable(text(1024))),
  licenseLists: v.array(v.pipe(v.array(text(256)), v.maxLength(MAX_ITEMS))),
  licenses: v.array(place),
  programs: v.array(v.nullable(v.union([v.literal(0), text(256)]))),
  homepages: v.array(v.nullable(text(512))),
  stems: v.array(v.union([v.literal(0), text(256), v.tuple([text(256)])])),
  outputs: v.array(
    v.union([
      v.literal(0),
      v.pipe(
        v.array(v.union([text(256), v.tuple([text(256), text(512)])])),
        v.minLength(1),
        v.maxLength(MAX_ITEMS),
      ),
    ]),
  ),
  derivations: v.array(v.tuple([place, text(512)])),
  hashes: v.pipe(v.string(), v.regex(HASHES)),
});

/** Undefined for what is no shard of this format. */
export function readShard(json: unknown): Shard | undefined {
  const parsed = v.safeParse(columnsSchema, json);
  if (!parsed.success) return undefined;
  const columns = parsed.output;
  const others = new Map(columns.others);
  const count = columns.attributes.length;
  const packages = count - others.size;
  if (columns.others.some(([at]) => at >= count) || !areWhole(columns, packages)) return undefined;
  const also = new Map(columns.also);
  const read = packageReader(columns);
  const numbers = numbersOf(count, others);
  if (read === undefined) return undefined;
  return {
    count,
    attributeAt: (at) => columns.attributes[at] ?? "",
    entryAt(at) {
      const own = columns.attributes[at];
      const number = numbers[at];
      if (own === undefined || number === undefined) return undefined;
      const other = others.get(at);
      const said = other === undefined ? read(number, own) : saidOf(other);
      const known = also.get(at);
      return said && { attribute: own, said, ...(known !== undefined && { also: known }) };
    },
  };
}

function areWhole(columns: Columns, packages: number): boolean {
  const { names, versions, descriptions, licenses, programs, homepages, stems, outputs } = columns;
  return [names, versions, descriptions, licenses, programs, homepages, stems, outputs].every(
    (column) => column.length === packages,
  );
}

/** At each place, how many packages stand before it. */
function numbersOf(count: number, others: ReadonlyMap<number, unknown>): readonly number[] {
  let number = 0;
  return Array.from({ length: count }, (_, at) => (others.has(at) ? number : number++));
}

function saidOf(other: Columns["others"][number][1]): Said | undefined {
  return other?.kind === "unexplained" ? { kind: "unexplained" } : parseLookup(other);
}

type ReadPackage = (number: number, attribute: string) => FoundPackage | undefined;

/** Undefined where there are not as many hashes as the columns say. */
function packageReader(columns: Columns): ReadPackage | undefined {
  const derivations = new Map(columns.derivations);
  const canonical = new Map(columns.canonical);
  const starts: number[] = [];
  let end = 0;
  for (const [number, outputs] of columns.outputs.entries()) {
    starts.push(end);
    const written = outputs === 0 ? 1 : outputs.filter((each) => typeof each === "string").length;
    end += HASH_LENGTH * (written + (derivations.has(number) ? 0 : 1));
  }
  if (end !== columns.hashes.length) return undefined;
  return (number, own) => {
    let at = starts[number] ?? 0;
    const nextHash = () => {
      at += HASH_LENGTH;
      return columns.hashes.slice(at - HASH_LENGTH, at);
    };
    const name = readName(columns.names[number], own);
    const version = columns.versions[number] ?? null;
    const stem = readStem(columns.stems[number], expectedStem(name, version));
    const derivation = derivations.get(number) ?? `${STORE}${nextHash()}-${stem}.drv`;
    const outputs = readOutputs(columns.outputs[number] || ["out"], stem, nextHash);
    const licenses = columns.licenseLists[columns.licenses[number] ?? -1];
    const program = columns.programs[number] ?? null;
    if (outputs === undefined || licenses === undefined) return undefined;
    return {
      kind: "found",
      attribute: canonical.get(number) ?? own,
      ...{ derivation, outputs, name, version },
      description: columns.descriptions[number] ?? null,
      licenses,
      mainProgram: program === 0 ? name : program,
      homepage: webAddress(columns.homepages[number] ?? null),
    };
  };
}

function readName(written: Columns["names"][number] | undefined, attribute: string): string {
  if (typeof written === "string") return written;
  const last = attributePath(attribute).at(-1) ?? "";
  return written === 1 ? foldPart(last) : last;
}

function readStem(written: Columns["stems"][number] | undefined, expected: string): string {
  if (written === undefined || written === 0) return expected;
  return typeof written === "string" ? written + expected : written[0];
}

function readOutputs(
  written: readonly WrittenOutput[],
  stem: string,
  nextHash: () => string,
): FoundPackage["outputs"] | undefined {
  const outputs: { readonly name: string; readonly path: StorePath }[] = [];
  for (const each of written) {
    const [name, text] =
      typeof each === "string" ? [each, `${STORE}${nextHash()}-${outputStem(stem, each)}`] : each;
    const path = parseStorePath(text);
    if (path === undefined) return undefined;
    outputs.push({ name, path });
  }
  return outputs;
}
