// What each way of cutting images into layers costs, on a real set of packages and on a made-up one
// of nixpkgs' shape. The same figures in every run. As a program it prints them.

import { parseArgs } from "node:util";
import type { StorePath } from "../../../registry/naming/store-path.ts";
import { generatePackageGraph } from "./package-graph.ts";
import {
  bigProgramSet,
  debianSet,
  type PackageSet,
  programSet,
  randomRecipes,
  withDerivationCounts,
  withoutPopularity,
} from "./package-set.ts";
import { createRandom, type Random } from "./random.ts";
import { createRules, type LayerPaths, layerKey, type Rule } from "./rules.ts";

export interface SimulationRow {
  readonly set: string;
  readonly rule: string;
  readonly images: number;
  /** Bytes of all layers that occur, over the bytes of all store paths that occur. */
  readonly storedOverDistinct: number;
  readonly medianLayers: number;
  readonly maxLayers: number;
  /** What somebody with another image of the set has of an image already, as a share of its bytes. */
  readonly reusedShare: number;
  /** The same for somebody with an image that has one package in place of another. */
  readonly neighbourShare: number;
}

interface CutImage {
  readonly layers: ReadonlyMap<string, LayerPaths>;
  readonly layerCount: number;
}

export interface SimulationOptions {
  readonly seed: number;
  readonly images: number;
  readonly bigImages: number;
  readonly programs: number;
}

export const SIMULATION: SimulationOptions = {
  seed: 1,
  images: 200,
  bigImages: 40,
  programs: 100,
};

export function simulate(options: SimulationOptions = SIMULATION): readonly SimulationRow[] {
  const { seed, images, bigImages, programs } = options;
  const graph = generatePackageGraph(seed);
  const madeUp = programSet(graph, programs, createRandom(seed + 1));
  const ordinary = [debianSet(), madeUp];
  const counted = withDerivationCounts(madeUp, graph, createRandom(seed + 4));
  const big = bigProgramSet(graph);
  return [
    ...[...ordinary, counted, ...ordinary.map(withoutPopularity)].flatMap((set) =>
      simulateSet(set, seed, { count: images, fewest: 2, most: 5 }),
    ),
    ...simulateSet(big, seed, { count: bigImages, fewest: 2, most: 4 }),
  ];
}

export function simulateSet(
  set: PackageSet,
  seed: number,
  shape: Parameters<typeof randomRecipes>[2],
): readonly SimulationRow[] {
  const recipes = randomRecipes(set, createRandom(seed + 2), shape);
  // Every rule sees the same pairs.
  return createRules(set).map((rule) => measure(set, rule, recipes, createRandom(seed + 3)));
}

function measure(
  set: PackageSet,
  rule: Rule,
  recipes: readonly (readonly StorePath[])[],
  random: Random,
): SimulationRow {
  const sizes = new Map(
    [...set.closures.values()].flat().map(({ path, narSizeBytes }) => [path, narSizeBytes]),
  );
  const bytesOf = (paths: Iterable<StorePath>) =>
    [...paths].reduce((sum, path) => sum + (sizes.get(path) ?? 0), 0);
  const bytesOfLayers = (layers: Iterable<LayerPaths>) =>
    [...layers].reduce((sum, layer) => sum + bytesOf(layer), 0);
  const cut = (recipe: readonly StorePath[]): CutImage => {
    const packages = [...recipe, ...set.always];
    const layers = rule.cut(packages);
    return {
      layers: new Map(layers.map((layer) => [layerKey(layer), layer])),
      layerCount: layers.length + rule.otherLayers,
    };
  };

  const images = recipes.map(cut);
  const stored = new Map(images.flatMap(({ layers }) => [...layers]));
  const paths = new Set([...stored.values()].flat());
  const total = images.reduce((sum, { layers }) => sum + bytesOfLayers(layers.values()), 0);
  const shareOf = (others: readonly (CutImage | undefined)[]) => {
    const reused = images.map(({ layers }, at) =>
      bytesOfLayers([...layers].filter(([key]) => others[at]?.layers.has(key)).map(([, l]) => l)),
    );
    return reused.reduce((a, b) => a + b, 0) / total;
  };
  const another = images.map((_, at) => {
    const step = 1 + random.below(images.length - 1);
    return images[(at + step) % images.length];
  });
  const neighbours = recipes.map((recipe) => cut(replaceOne(set, recipe, random)));
  const counts = images.map(({ layerCount }) => layerCount).sort((a, b) => a - b);
  return {
    set: set.name,
    rule: rule.name,
    images: images.length,
    storedOverDistinct: bytesOfLayers(stored.values()) / bytesOf(paths),
    medianLayers: counts[Math.floor(counts.length / 2)] ?? 0,
    maxLayers: counts.at(-1) ?? 0,
    reusedShare: shareOf(another),
    neighbourShare: shareOf(neighbours),
  };
}

function replaceOne(
  set: PackageSet,
  recipe: readonly StorePath[],
  random: Random,
): readonly StorePath[] {
  const others = [...set.closures.keys()].filter(
    (path) => !recipe.includes(path) && !set.always.includes(path),
  );
  const replaced = random.below(recipe.length);
  const replacement = others[random.below(others.length)];
  return recipe.map((path, at) => (at === replaced ? (replacement ?? path) : path));
}

export function formatRows(rows: readonly SimulationRow[]): string {
  const percent = (share: number) => `${(share * 100).toFixed(1)} %`;
  const lines = [
    ["set", "rule", "stored/distinct", "median", "max", "reused", "by neighbours"],
    ...rows.map((row) => [
      row.set,
      row.rule,
      row.storedOverDistinct.toFixed(4),
      String(row.medianLayers),
      String(row.maxLayers),
      percent(row.reusedShare),
      percent(row.neighbourShare),
    ]),
  ];
  const widths = [22, 13, 15, 6, 5, 7, 13];
  return lines
    .map((cells) =>
      cells
        .map((cell, at) => (at < 2 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0)))
        .join("  "),
    )
    .join("\n");
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: { seed: { type: "string" }, json: { type: "boolean" } },
  });
  const seed = values.seed === undefined ? SIMULATION.seed : Number(values.seed);
  if (!Number.isSafeInteger(seed) || seed < 1) throw new Error("--seed takes a positive integer");
  const rows = simulate({ ...SIMULATION, seed });
  process.stdout.write(`${values.json ? JSON.stringify(rows, null, 2) : formatRows(rows)}\n`);
}
