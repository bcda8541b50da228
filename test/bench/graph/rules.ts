// The ways of cutting images into layers that are compared: nixport's, what it was before, one path
// a layer, and Nixery's.

import { type Bundle, cutLevels, MAX_LEVEL } from "../../../origin/layers/bundles.ts";
import { type ClosureGraph, orderClosure } from "../../../origin/layers/closure.ts";
import type { Part } from "../../../registry/image/part.ts";
import type { StorePath } from "../../../registry/naming/store-path.ts";
import { immediateDominators } from "./dominators.ts";
import { groupAsNixery } from "./nixery.ts";
import type { PackageSet } from "./package-set.ts";

/** What an image may have: classic Docker mounts 125, and a user's own layers come on top. */
export const LAYER_BUDGET = 100;

export type LayerPaths = readonly StorePath[];

export interface Rule {
  readonly name: string;
  /** The layers of an image of these packages, views among them. */
  readonly cut: (packages: readonly StorePath[]) => readonly LayerPaths[];
  /** How many layers every image has besides. */
  readonly otherLayers: number;
}

/** The links to `/bin/sh` and `/usr/bin/env`. */
const LINK_LAYERS = 1;
/** These, and the base. */
const OTHER_LAYERS = 3;

export function createRules(set: PackageSet): readonly Rule[] {
  return [bundleRule(set), dominatorRule(set), onePathRule(set), nixeryRule(set)];
}

function bundleRule(set: PackageSet): Rule {
  const cut = (part: Part, closure: ClosureGraph) =>
    cutLevels(closure, part, set.popularity, true).map((bundles) => layersOf(bundles, part));
  const levels = perPackage(set, (path) =>
    cut({ kind: "package", outputs: [path] }, closureIn(set, path)),
  );
  const ground = cut({ kind: "ground", outputs: set.always }, closureOfAll(set, set.always));
  return {
    name: "bundles",
    otherLayers: LINK_LAYERS,
    cut: (packages) => {
      const named = packages.filter((path) => !set.always.includes(path));
      const cuts = [
        ...named.map((path) => ({ path, level: 0, levels: levels(path) })),
        { path: "ground", level: MAX_LEVEL, levels: ground },
      ];
      const budget = LAYER_BUDGET - LINK_LAYERS;
      for (;;) {
        const layers = distinct(cuts.flatMap((cut) => cut.levels[cut.level] ?? []));
        if (layers.length <= budget) return layers;
        const [widest] = cuts
          .filter((cut) => cut.level < MAX_LEVEL)
          .map((cut) => ({ cut, count: cut.levels[cut.level]?.length ?? 0 }))
          .sort((a, b) => b.count - a.count || (a.cut.path < b.cut.path ? -1 : 1));
        if (widest === undefined) return layers;
        widest.cut.level += 1;
      }
    },
  };
}

function layersOf(bundles: readonly Bundle[], { outputs }: Part): readonly LayerPaths[] {
  return bundles.map(({ storePaths, holdsView }) =>
    holdsView ? [...storePaths, ...outputs.map(viewOf)] : storePaths,
  );
}

/** A path without a size: it tells a layer that holds a view from one that does not. */
function viewOf(root: StorePath): StorePath {
  return `${root}-view` as StorePath;
}

/**
 * Large or popular paths lead; every other path rides with the nearest leader that dominates it
 * within the package's closure. The bounds are those that suited each kind of counts best.
 */
function dominatorRule(set: PackageSet): Rule {
  const mostCounts = [...set.closures.values()].flat().reduce((most, { path }) => {
    const count = set.popularity.count(path);
    return set.always.includes(path) ? most : Math.max(most, count);
  }, 0);
  const popularCount = mostCounts > 1000 ? 100 : 4;
  const cut = perPackage(set, (root) => {
    const { nodes, references } = orderClosure(closureIn(set, root), root);
    const dominators = immediateDominators(references);
    const leaders: number[] = [];
    for (const [place, { path, narSizeBytes }] of nodes.entries()) {
      const isPopular = set.popularity.count(path) >= popularCount;
      const leads = path === root || narSizeBytes >= 1_000_000 || isPopular;
      leaders[place] = leads ? place : (leaders[dominators[place] ?? 0] ?? 0);
    }
    const groups = Map.groupBy(nodes, (_, place) => leaders[place]);
    return [...groups.values()].map((group) => group.map(({ path }) => path).sort());
  });
  return {
    name: "dominators",
    otherLayers: OTHER_LAYERS,
    cut: (packages) => [
      ...distinct(packages.flatMap(cut)),
      ...packages.map((path) => [viewOf(path)]),
    ],
  };
}

function onePathRule(set: PackageSet): Rule {
  return {
    name: "one path each",
    otherLayers: OTHER_LAYERS,
    cut: (packages) => [
      ...distinct(packages.flatMap((path) => closureIn(set, path).map((node) => [node.path]))),
      ...packages.map((path) => [viewOf(path)]),
    ],
  };
}

function nixeryRule(set: PackageSet): Rule {
  return {
    name: "Nixery",
    // All links of an image are one layer.
    otherLayers: 1,
    cut: (packages) => {
      const nodes = closureOfAll(set, packages);
      const groups = groupAsNixery(nodes, packages, set.popularity.count);
      return groups.map(({ storePaths }) => storePaths);
    },
  };
}

function closureIn(set: PackageSet, path: StorePath) {
  return set.closures.get(path) ?? [];
}

function closureOfAll(set: PackageSet, packages: readonly StorePath[]): ClosureGraph {
  const nodes = packages.flatMap((path) => closureIn(set, path));
  return [...new Map(nodes.map((node) => [node.path, node])).values()];
}

function perPackage<T>(set: PackageSet, make: (path: StorePath) => T): (path: StorePath) => T {
  const made = new Map([...set.closures.keys()].map((path) => [path, make(path)]));
  return (path) => made.get(path) ?? make(path);
}

/** Layers are the same when they hold the same paths in the same order. */
export function layerKey(layer: LayerPaths): string {
  return layer.join(" ");
}

function distinct(layers: readonly LayerPaths[]): readonly LayerPaths[] {
  return [...new Map(layers.map((layer) => [layerKey(layer), layer])).values()];
}
