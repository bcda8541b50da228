// A made-up package collection of nixpkgs' shape and size: a small core that nearly everything
// needs, libraries in families, programs on top, and some programs that need hundreds of libraries.

import type { ClosureGraph, ClosureNode } from "../../../origin/layers/closure.ts";
import { type Popularity, parsePopularity } from "../../../origin/layers/popularity.ts";
import {
  parseStorePath,
  type StorePath,
  storePathPackage,
} from "../../../registry/naming/store-path.ts";
import { createRandom, type Random } from "./random.ts";

export interface PackageGraph {
  readonly nodes: ReadonlyMap<StorePath, ClosureNode>;
  /** What people ask for: programs, whatever the size of their closures. */
  readonly programs: readonly StorePath[];
  /** Programs of ffmpeg's or emacs's kind. */
  readonly bigPrograms: readonly StorePath[];
  /** What is in every image without being asked for. */
  readonly always: readonly StorePath[];
  readonly popularity: Popularity;
}

export interface PackageGraphShape {
  readonly corePaths: number;
  readonly libraries: number;
  readonly families: number;
  readonly programs: number;
  readonly bigPrograms: number;
}

export const NIXPKGS_SHAPE: PackageGraphShape = {
  corePaths: 60,
  libraries: 9_000,
  families: 40,
  programs: 21_000,
  bigPrograms: 40,
};

/** In Nixery's data for nixpkgs, which counts every output of every version there has been. */
const MOST_REFERENCES = 300_000;

const MEDIAN_SIZE_BYTES = 100_000;
/** Of the logarithm: one path in a hundred has 17 MB or more, one in 30,000 some hundreds. */
const SIZE_SPREAD = 2.3;
const MIN_SIZE_BYTES = 500;
const MAX_SIZE_BYTES = 900_000_000;

export function generatePackageGraph(
  seed: number,
  shape: PackageGraphShape = NIXPKGS_SHAPE,
): PackageGraph {
  const random = createRandom(seed);
  const nodes = new Map<StorePath, ClosureNode>();
  const add = (name: string, narSizeBytes: number, references: Iterable<StorePath>) => {
    const path = pathOf(name, nodes.size);
    nodes.set(path, { path, narSizeBytes, references: [path, ...new Set(references)] });
    return path;
  };

  const core: StorePath[] = [];
  for (let at = 0; at < shape.corePaths; at += 1) {
    const size = at === 0 ? 30_000_000 : sizeOf(random, 2);
    core.push(add(`core${at}-1.0`, size, at === 0 ? [] : coreReferences(random, core)));
  }
  const families = Array.from({ length: shape.families }, (): StorePath[] => []);
  const libraries: StorePath[] = [];
  for (let at = 0; at < shape.libraries; at += 1) {
    const family = at % shape.families;
    const siblings = families[family] ?? [];
    const references = new Set(coreReferences(random, core));
    for (let more = heavyTailed(random, 1.1, 15) - 1; more > 0; more -= 1) {
      const from = random.fraction() < 0.8 ? siblings : libraries;
      const found = skewed(random, from, 2);
      if (found !== undefined) references.add(found);
    }
    const path = add(`library${at}-1.0`, sizeOf(random, 0.7), references);
    siblings.push(path);
    libraries.push(path);
  }

  const program = (name: string, wanted: number, spread: number) => {
    const home = families[random.below(shape.families)] ?? [];
    const references = new Set(coreReferences(random, core));
    for (let more = wanted; more > 0; more -= 1) {
      const found = skewed(random, random.fraction() < spread ? libraries : home, 2);
      if (found !== undefined) references.add(found);
    }
    return add(name, sizeOf(random, 1), references);
  };
  const programs = Array.from({ length: shape.programs }, (_, at) =>
    program(`program${at}-1.0`, heavyTailed(random, 1.2, 40) - 1, 0.3),
  );
  const bigPrograms = Array.from({ length: shape.bigPrograms }, (_, at) =>
    program(`big-program${at}-1.0`, 40 * heavyTailed(random, 0.8, 40), 0.5),
  );
  const always = [add("nss-cacert-3.100", 500_000, []), add("iana-etc-20250101", 400_000, [])];
  return { nodes, programs, bigPrograms, always, popularity: countReferences(nodes) };
}

export function closureOf(
  nodes: ReadonlyMap<StorePath, ClosureNode>,
  root: StorePath,
): ClosureGraph {
  // A Set is walked in the order of insertion, and what is added during the walk is walked too.
  const reached = new Set<StorePath>([root]);
  const closure: ClosureNode[] = [];
  for (const path of reached) {
    const node = nodes.get(path);
    if (node === undefined) throw new Error(`${path} is missing from the graph`);
    closure.push(node);
    for (const reference of node.references) reached.add(reference);
  }
  return closure;
}

function countReferences(nodes: ReadonlyMap<StorePath, ClosureNode>): Popularity {
  const counts = new Map<string, number>();
  for (const { path, references } of nodes.values()) {
    for (const reference of references) {
      if (reference === path) continue;
      const name = storePathPackage(reference);
      counts.set(name, (counts.get(name) ?? 0) + 1);
    }
  }
  const scale = MOST_REFERENCES / [...counts.values()].reduce((a, b) => Math.max(a, b), 1);
  const scaled = [...counts].map(([name, count]) => [name, Math.round(count * scale)]);
  const result = parsePopularity(JSON.stringify(Object.fromEntries(scaled)));
  if (result.kind === "invalid") throw new Error(result.reason);
  return result.popularity;
}

/** Nine of ten need the very first, as they do glibc, and each later one is needed less often. */
function coreReferences(random: Random, core: readonly StorePath[]): readonly StorePath[] {
  return core.filter((_, rank) => random.fraction() < 0.9 / (rank + 1) ** 1.1);
}

/** A log-normal size; `scale` times the median for kinds of paths that are larger. */
function sizeOf(random: Random, scale: number): number {
  const size = Math.round(MEDIAN_SIZE_BYTES * scale * Math.exp(SIZE_SPREAD * random.normal()));
  return Math.min(Math.max(size, MIN_SIZE_BYTES), MAX_SIZE_BYTES);
}

/** 1 or more; at least n with the probability n^-exponent (Pareto). */
function heavyTailed(random: Random, exponent: number, most: number): number {
  return Math.min(Math.floor((1 - random.fraction()) ** (-1 / exponent)), most);
}

/** One of the values, an early one mostly: those are what the others have grown on. */
function skewed<T>(random: Random, values: readonly T[], power: number): T | undefined {
  return values[Math.floor(random.fraction() ** power * values.length)];
}

const DIGITS = "0123456789abcdfghijklmnpqrsvwxyz";

function pathOf(name: string, number: number): StorePath {
  let hash = "";
  for (let left = number; hash.length < 32; left = Math.floor(left / DIGITS.length)) {
    hash += DIGITS[left % DIGITS.length];
  }
  const path = parseStorePath(`/nix/store/${hash}-${name}`);
  if (path === undefined) throw new Error(`${name} is no name of a store path`);
  return path;
}
