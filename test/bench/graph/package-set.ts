// The sets that are simulated: packages with their closures, and what is known of their popularity.

import { readFileSync } from "node:fs";
import * as v from "valibot";
import type { ClosureGraph, ClosureNode } from "../../../origin/layers/closure.ts";
import {
  formatPopularity,
  NO_POPULARITY,
  type Popularity,
  parsePopularity,
} from "../../../origin/layers/popularity.ts";
import { createCounter } from "../../../origin/popularity/counter.ts";
import { storePathSchema } from "../../../registry/image/lookup.ts";
import type { StorePath } from "../../../registry/naming/store-path.ts";
import { closureOf, type PackageGraph } from "./package-graph.ts";
import { pick, type Random } from "./random.ts";

export interface PackageSet {
  readonly name: string;
  /** By package, those of `always` too. */
  readonly closures: ReadonlyMap<StorePath, ClosureGraph>;
  readonly popularity: Popularity;
  /** In every image without being asked for. */
  readonly always: readonly StorePath[];
}

const setSchema = v.object({
  /** In how many of the packages' closures each name is. */
  popularity: v.record(v.string(), v.number()),
  packages: v.array(storePathSchema),
  /** As `nix path-info --json --recursive` has them. */
  paths: v.array(
    v.object({
      path: storePathSchema,
      narSize: v.number(),
      references: v.array(storePathSchema),
    }),
  ),
});

export function readPackageSet(name: string, json: unknown): PackageSet {
  const { popularity, packages, paths } = v.parse(setSchema, json);
  const nodes = new Map(
    paths.map(({ path, narSize, references }): [StorePath, ClosureNode] => [
      path,
      { path, narSizeBytes: narSize, references },
    ]),
  );
  const parsed = parsePopularity(JSON.stringify(popularity), "closures");
  if (parsed.kind === "invalid") throw new Error(parsed.reason);
  return {
    name,
    closures: closuresOf(nodes, packages),
    popularity: parsed.popularity,
    always: packages.filter((path) => /-(nss-cacert|iana-etc)-/.test(path)),
  };
}

/** 59 packages of Debian 12 as store paths: 151 paths, 265 MB. */
export function debianSet(): PackageSet {
  const text = readFileSync(new URL("debian-set.json", import.meta.url), "utf8");
  return readPackageSet("Debian", JSON.parse(text));
}

/** Some programs of a made-up graph, as the users of one registry ask for some. */
export function programSet(graph: PackageGraph, count: number, random: Random): PackageSet {
  const packages = new Set<StorePath>(graph.always);
  while (packages.size < count + graph.always.length) packages.add(pick(random, graph.programs));
  return graphSet("made-up", graph, [...packages]);
}

export function bigProgramSet(graph: PackageGraph): PackageSet {
  return graphSet("big programs", graph, [...graph.always, ...graph.bigPrograms]);
}

export function withoutPopularity(set: PackageSet): PackageSet {
  return { ...set, name: `${set.name}, no counts`, popularity: NO_POPULARITY };
}

/** How many libraries, with all they need, are there to build with. */
const BUILD_TOOLS = 20;

/** With what an origin counts by itself: the set's derivations, all of which share a tool chain. */
export function withDerivationCounts(
  set: PackageSet,
  graph: PackageGraph,
  random: Random,
): PackageSet {
  const libraries = [...graph.nodes.keys()].filter((path) => /-library/.test(path));
  const tools = Array.from({ length: BUILD_TOOLS }, () => pick(random, libraries));
  const toolChain = tools.flatMap((tool) => closureOf(graph.nodes, tool)).map(({ path }) => path);
  const counter = createCounter();
  for (const closure of set.closures.values()) {
    counter.add([...closure.map(({ path }) => path), ...toolChain]);
  }
  const counts = counter.byPackage();
  const data = { kind: "derivations", counted: set.closures.size, counts } as const;
  const parsed = parsePopularity(formatPopularity(data));
  if (parsed.kind === "invalid") throw new Error(parsed.reason);
  return { ...set, name: `${set.name}, derivations`, popularity: parsed.popularity };
}

function graphSet(name: string, graph: PackageGraph, packages: readonly StorePath[]): PackageSet {
  const { nodes, popularity, always } = graph;
  return { name, closures: closuresOf(nodes, packages), popularity, always };
}

function closuresOf(
  nodes: ReadonlyMap<StorePath, ClosureNode>,
  packages: readonly StorePath[],
): PackageSet["closures"] {
  return new Map(packages.map((path) => [path, closureOf(nodes, path)]));
}

/** The packages of images: some different ones each, besides those that are always there. */
export function randomRecipes(
  set: PackageSet,
  random: Random,
  {
    count,
    fewest,
    most,
  }: { readonly count: number; readonly fewest: number; readonly most: number },
): readonly (readonly StorePath[])[] {
  const packages = [...set.closures.keys()].filter((path) => !set.always.includes(path));
  return Array.from({ length: count }, () => {
    const recipe = new Set<StorePath>();
    const size = fewest + random.below(most - fewest + 1);
    while (recipe.size < size) recipe.add(pick(random, packages));
    return [...recipe];
  });
}
