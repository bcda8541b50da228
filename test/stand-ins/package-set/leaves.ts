// Packages that nobody has heard of, in any number: libraries that stand on each other and programs
// on top of them, drawn so that few libraries are needed by many and most by few.

import { createRandom, pick, type Random } from "../../bench/graph/random.ts";
import type { PackageSpec } from "./package-spec.ts";

const SYLLABLES = "ba ce di fo gu ha je ki lo mu na pe qui ro su ta ve wi xo zu".split(" ");
const LICENSES = ["asl20", "bsd3", "gpl3Plus", "isc", "lgpl21Plus", "mit", "mpl20"];
/** What any of them may be linked with besides each other. */
const WELL_KNOWN = ["zlib", "openssl", "ncurses", "readline", "pcre2", "sqlite", "expat", "xz"];
/** One in so many is a library. */
const LIBRARY_SHARE = 5;

export function inventLeaves(count: number, seed: number): readonly PackageSpec[] {
  const random = createRandom(seed);
  const libraries: string[] = [...WELL_KNOWN];
  return inventNames(random, count).map((name, index) => {
    const isLibrary = index % LIBRARY_SHARE === 0;
    const needs = drawNeeds(random, libraries);
    if (isLibrary) libraries.push(name);
    return {
      ...{ name, needs, license: pick(random, LICENSES) },
      version: inventVersion(random),
      description: isLibrary ? `Something that ${name} does for others` : `Does ${name}`,
      ...(isLibrary ? { outputs: ["out", "dev"] } : { programs: [name] }),
      sizeBytes: Math.round(500 * Math.exp(Math.abs(random.normal()) * 1.6)),
    };
  });
}

/** All different; names of a language's packages and of programs alike. */
export function inventNames(random: Random, count: number): readonly string[] {
  const names = new Set<string>();
  while (names.size < count) {
    const length = 2 + random.below(3);
    names.add(Array.from({ length }, () => pick(random, SYLLABLES)).join(""));
  }
  return [...names];
}

export function inventVersion(random: Random): string {
  return `${random.below(9)}.${random.below(30)}.${random.below(12)}`;
}

/** The earlier a library was, the more need it. */
export function drawNeeds(random: Random, from: readonly string[]): readonly string[] {
  const count = Math.min(from.length, random.below(5));
  const drawn = Array.from({ length: count }, () => {
    const index = Math.floor(random.fraction() ** 2 * from.length);
    return from[index] ?? "zlib";
  });
  return [...new Set(drawn)];
}
