// How many others need a store path, by the name of its package without the version: data that
// stays true while versions move on, and that is replaced rarely, since it decides how layers are
// cut.

import { createHash } from "node:crypto";
import * as v from "valibot";
import {
  parseStorePath,
  type StorePath,
  storePathPackage,
} from "../../registry/naming/store-path.ts";
import { compareBytes } from "./byte-string.ts";

export interface Popularity {
  /** Names the data: other data, other layers. The hex of the digest of `text`, or "none". */
  readonly id: string;
  /**
   * The data as they are told to others: exact, whatever file they were read from. A file of popularity
   * data like any other; null without data.
   */
  readonly text: string | null;
  count(path: StorePath): number;
  /**
   * How many packages of an ordinary set of images are expected to share the path: 0.25 to 8. With
   * `besides`, a package whose closure holds the path: of those that do not hold that package as well,
   * as far as the data can tell.
   */
  sharers(path: StorePath, besides?: StorePath): number;
  /**
   * Whether a package's own output is never shared as a part of others: the data know of nobody else
   * that needs it, or it is in every image as a package of its own.
   */
  isAlone(path: StorePath): boolean;
}

// Found by simulation (test/bench/graph), on a real set of 59 packages and on made-up graphs of
// nixpkgs' shape. Objective: at most 1.05 times the distinct bytes stored, then a median of 30 layers
// in images of 2 to 5 packages. Halving or doubling one of these moves the figures by some percent:
// more sharers are more layers, and fewer bytes stored twice.

/** For counts of references in the whole of nixpkgs, where glibc has about 300,000: Nixery's. */
const REFERENCES_PER_SHARER = 400;
/** For counts of the closures of a set of some dozens of packages that hold a path. */
const CLOSURES_PER_SHARER = 1.2;
/** In the graph that 400 was found with, every 833rd path refers to what has so many references. */
const PATHS_PER_SHARER = 833;
/** Beyond so many packages, of more closures that hold a path fewer come to one user's images. */
const ORDINARY_SET = 60;

/** Without data: what is larger than 250 kB is kept apart, whoever may need it. */
const SHARERS_WITHOUT_DATA = 4;
/** What nobody else needs may ride with what needs it, unless it is very large. */
const MIN_SHARERS = 0.25;
/** Beyond, each image would have a layer more for a path of some kilobytes. */
const MAX_SHARERS = 8;

interface Scale {
  readonly countsPerSharer: number;
  readonly maxSharers: number;
  /**
   * Whether what counts for a package counts for all that its closure holds as well. A tool chain
   * counts for every package that is built with it, whatever its closure holds.
   */
  readonly isNested: boolean;
}

const SCALES: Readonly<Record<CountKind, Scale>> = {
  references: { countsPerSharer: REFERENCES_PER_SHARER, maxSharers: MAX_SHARERS, isNested: false },
  closures: { countsPerSharer: CLOSURES_PER_SHARER, maxSharers: 5, isNested: true },
  derivations: { countsPerSharer: CLOSURES_PER_SHARER, maxSharers: MAX_SHARERS, isNested: false },
};

/** These are in every image. */
const ALWAYS_PRESENT: ReadonlySet<string> = new Set(["cacert", "nss-cacert", "iana-etc"]);
const MOST_POPULAR = 1_000_000_000;
/** A path nothing is known of is needed at least by the package at hand. */
const UNKNOWN = 1;

/** The file for all of nixpkgs has some 100,000 names and 4 MB. */
export const MAX_POPULARITY_SIZE_BYTES = 32 << 20;

export const NO_POPULARITY: Popularity = {
  id: "none",
  text: null,
  count: (path) => (ALWAYS_PRESENT.has(storePathPackage(path)) ? MOST_POPULAR : UNKNOWN),
  isAlone: (path) => ALWAYS_PRESENT.has(storePathPackage(path)),
  sharers: () => SHARERS_WITHOUT_DATA,
};

export type PopularityResult =
  | {
      readonly kind: "popularity";
      readonly popularity: Popularity;
      /** If the data say so. */
      readonly countedAtMs: number | null;
    }
  | { readonly kind: "invalid"; readonly reason: string };

/** Derivations count what packages are built with, an upper bound of their closures. */
export type CountKind = "references" | "closures" | "derivations";

/**
 * Data can say what they count, and in how many paths or packages, by an entry that no store path can
 * be named like: Nixery, and who knows no such entries, take it for one more package.
 */
const KIND_ENTRIES: Readonly<Record<CountKind, string>> = {
  references: "references of",
  closures: "closures of",
  derivations: "derivations of",
};
/** Another such entry, in seconds since 1970. */
const COUNTED_AT_ENTRY = "counted at";

const countsSchema = v.record(v.string(), v.pipe(v.number(), v.safeInteger(), v.minValue(0)));

/** Counts by package, and what they mean: `text` of a Popularity. No count of a name is a set. */
const toldSchema = v.object({
  scale: v.object({
    countsPerSharer: v.pipe(v.number(), v.gtValue(0)),
    maxSharers: v.pipe(v.number(), v.gtValue(0)),
    isNested: v.boolean(),
  }),
  counts: countsSchema,
});

/**
 * Reads a JSON object of names and counts; what they count, if they do not say, is for the caller to
 * know. Where several names are one package (`openssl-1.1.1`,
 * `openssl-3.0`, `openssl-3.0-bin`) the largest count holds: a sum would count twice whoever needs
 * two outputs, and lift packages of many versions and outputs above others.
 */
export function parsePopularity(
  text: string,
  expected: CountKind = "references",
): PopularityResult {
  if (Buffer.byteLength(text) > MAX_POPULARITY_SIZE_BYTES) {
    return invalid(`is larger than ${MAX_POPULARITY_SIZE_BYTES} bytes`);
  }
  const json = parseJson(text);
  if (json === undefined) return invalid("is no JSON");
  const told = v.safeParse(toldSchema, json);
  if (told.success) {
    const { scale, counts } = told.output;
    const popularity = createPopularity(new Map(Object.entries(counts)), scale);
    return { kind: "popularity", popularity, countedAtMs: null };
  }
  const parsed = v.safeParse(countsSchema, json);
  // The schema alone takes a list for an object with numbers for names.
  if (!parsed.success || Array.isArray(json))
    return invalid("is no JSON object of names and counts");
  const counts = new Map<string, number>();
  for (const [name, count] of Object.entries(parsed.output)) {
    const packageName = packageOfName(name);
    // A name no store path can have can match none.
    if (packageName === undefined) continue;
    counts.set(packageName, Math.max(counts.get(packageName) ?? 0, count));
  }
  const said = scaleSaid(parsed.output);
  const isEmpty = said === undefined && counts.size === 0;
  const countedAt = parsed.output[COUNTED_AT_ENTRY];
  return {
    kind: "popularity",
    popularity: isEmpty ? NO_POPULARITY : createPopularity(counts, said ?? SCALES[expected]),
    countedAtMs: countedAt === undefined ? null : countedAt * 1000,
  };
}

export interface PopularityData {
  readonly kind: CountKind;
  /** How many paths or packages were counted. */
  readonly counted: number;
  readonly counts: ReadonlyMap<string, number>;
}

/** The text of a file; without data it says only when there were none to be had. */
export function formatPopularity(data: PopularityData | null, countedAtMs?: number): string {
  const sorted = [...(data?.counts ?? [])].sort(([a], [b]) => compareBytes(a, b));
  const entries = Object.fromEntries([
    ...(countedAtMs === undefined ? [] : [[COUNTED_AT_ENTRY, Math.floor(countedAtMs / 1000)]]),
    ...(data === null ? [] : [[KIND_ENTRIES[data.kind], data.counted]]),
    ...sorted,
  ]);
  return `${JSON.stringify(entries, null, 1)}\n`;
}

function scaleSaid(entries: Readonly<Record<string, number>>): Scale | undefined {
  const references = entries[KIND_ENTRIES.references];
  if (references !== undefined) {
    return { ...SCALES.references, countsPerSharer: Math.max(references / PATHS_PER_SHARER, 1) };
  }
  for (const kind of ["closures", "derivations"] as const) {
    const packages = entries[KIND_ENTRIES[kind]];
    if (packages === undefined) continue;
    const countsPerSharer = Math.max(Math.sqrt(packages / ORDINARY_SET), CLOSURES_PER_SHARER);
    return { ...SCALES[kind], countsPerSharer };
  }
  return undefined;
}

function createPopularity(counts: ReadonlyMap<string, number>, scale: Scale): Popularity {
  const { countsPerSharer, isNested, maxSharers } = scale;
  const text = canonicalText(counts, scale);
  const count = (path: StorePath) => {
    const name = storePathPackage(path);
    if (ALWAYS_PRESENT.has(name)) return MOST_POPULAR;
    return Math.min(counts.get(name) ?? UNKNOWN, MOST_POPULAR);
  };
  return {
    id: createHash("sha256").update(text).digest("hex"),
    text,
    count,
    isAlone: (path) => ALWAYS_PRESENT.has(storePathPackage(path)) || count(path) <= UNKNOWN,
    sharers: (path, besides) => {
      const common = isNested && besides !== undefined ? count(besides) : 0;
      return Math.min(Math.max((count(path) - common) / countsPerSharer, MIN_SHARERS), maxSharers);
    },
  };
}

function canonicalText(counts: ReadonlyMap<string, number>, scale: Scale): string {
  const { countsPerSharer, maxSharers, isNested } = scale;
  const sorted = [...counts].sort(([a], [b]) => compareBytes(a, b));
  const told = {
    scale: { countsPerSharer, maxSharers, isNested },
    counts: Object.fromEntries(sorted),
  };
  return JSON.stringify(told);
}

function packageOfName(name: string): string | undefined {
  const path = parseStorePath(`/nix/store/${"0".repeat(32)}-${name}`);
  return path && storePathPackage(path);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Not JSON: the caller says so.
    return undefined;
  }
}

function invalid(reason: string): PopularityResult {
  return { kind: "invalid", reason };
}
