import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { cutLevels } from "../../../origin/layers/bundles.ts";
import { closureOf, generatePackageGraph } from "./package-graph.ts";
import { debianSet, programSet } from "./package-set.ts";
import { createRandom } from "./random.ts";
import { formatRows, SIMULATION, type SimulationRow, simulate, simulateSet } from "./simulate.ts";

const graph = generatePackageGraph(SIMULATION.seed);
const rows = simulate();

function row(set: string, rule: string): SimulationRow {
  const found = rows.find((candidate) => candidate.set === set && candidate.rule === rule);
  assert.ok(found, `${set}, ${rule}`);
  return found;
}

function quantiles(values: readonly number[], shares: readonly number[]): readonly number[] {
  const sorted = values.toSorted((a, b) => a - b);
  return shares.map((share) => sorted[Math.floor(share * (sorted.length - 1))] ?? 0);
}

describe("the made-up graph", () => {
  test("is the same in every run, and another with another seed", () => {
    assert.deepEqual([...generatePackageGraph(1).nodes], [...graph.nodes]);
    assert.notDeepEqual([...generatePackageGraph(2).nodes], [...graph.nodes]);
  });

  test("has nixpkgs' size, with a median of 100 kB and paths of hundreds of megabytes", () => {
    assert.ok(graph.nodes.size > 30_000);
    const sizes = [...graph.nodes.values()].map(({ narSizeBytes }) => narSizeBytes);
    const [median = 0, largest = 0] = quantiles(sizes, [0.5, 1]);
    assert.ok(median > 70_000 && median < 130_000, `${median}`);
    assert.ok(largest > 300_000_000, `${largest}`);
  });

  test("has a path nearly everything needs, and few that many need", () => {
    const counts = [...graph.nodes.keys()].map((path) => graph.popularity.count(path));
    const [median, most] = quantiles(
      counts.filter((count) => count < 1e9),
      [0.5, 1],
    );
    assert.deepEqual([median, most], [1, 300_000]);
    assert.ok(counts.filter((count) => count > 10_000).length < 40);
  });

  test("has closures of a few paths, of dozens, and of thousands", () => {
    const some = graph.programs.filter((_, at) => at % 20 === 0);
    const closures = some.map((path) => closureOf(graph.nodes, path).length);
    const [few = 0, median = 0, many = 0] = quantiles(closures, [0.1, 0.5, 0.95]);
    assert.ok(few <= 5 && median >= 8 && median <= 30 && many >= 80, `${few} ${median} ${many}`);
    const big = graph.bigPrograms.map((path) => closureOf(graph.nodes, path).length);
    const [least = 0, most = 0] = quantiles(big, [0, 1]);
    assert.ok(least >= 100 && most > 1500, `${least} ${most}`);
  });

  test("has big programs whose bundles about halve from level to level", () => {
    for (const path of graph.bigPrograms) {
      const part = { kind: "package", outputs: [path] } as const;
      const levels = cutLevels(closureOf(graph.nodes, path), part, graph.popularity, true);
      const counts = levels.map((bundles) => bundles.length);
      assert.ok((counts[4] ?? 0) < 0.5 * (counts[1] ?? 0) && (counts[5] ?? 0) < 30, `${counts}`);
    }
  });
});

describe("the simulation", () => {
  test("is the same in every run", () => {
    const options = { seed: 3, images: 20, bigImages: 3, programs: 20 };
    assert.deepEqual(simulate(options), simulate(options));
  });

  test("knows the real set of 59 packages", () => {
    const { closures } = debianSet();
    const paths = new Set([...closures.values()].flat().map(({ path }) => path));
    assert.deepEqual([closures.size, paths.size], [59, 151]);
  });

  test("stores and cuts less than before on the real set", () => {
    const { storedOverDistinct, medianLayers, maxLayers } = row("Debian", "bundles");
    assert.ok(storedOverDistinct <= 1.04, `${storedOverDistinct}`);
    assert.ok(medianLayers <= 18 && maxLayers <= 32, `${medianLayers}, ${maxLayers}`);
    const before = row("Debian", "dominators");
    assert.ok(storedOverDistinct < before.storedOverDistinct && medianLayers < before.medianLayers);
  });

  test("stays within the bars on the made-up set", () => {
    const { storedOverDistinct, medianLayers, maxLayers } = row("made-up", "bundles");
    assert.ok(storedOverDistinct <= 1.05, `${storedOverDistinct}`);
    assert.ok(medianLayers <= 25 && maxLayers <= 90, `${medianLayers}, ${maxLayers}`);
  });

  test("stays near the bars in graphs whose images have half as many paths again", () => {
    for (const seed of [2, 3]) {
      const set = programSet(generatePackageGraph(seed), 100, createRandom(seed + 1));
      const [bundles, , onePath] = simulateSet(set, seed, { count: 200, fewest: 2, most: 5 });
      assert.ok(bundles && onePath);
      assert.ok(bundles.storedOverDistinct <= 1.08, `${bundles.storedOverDistinct}`);
      assert.ok(bundles.medianLayers <= 38 && bundles.maxLayers <= 100, `${bundles.medianLayers}`);
      assert.ok(bundles.medianLayers < 0.75 * onePath.medianLayers);
      assert.ok(bundles.reusedShare > onePath.reusedShare - 0.01);
    }
  });

  test("stores less with counted derivations than without any data", () => {
    const counted = row("made-up, derivations", "bundles");
    const without = row("made-up, no counts", "bundles");
    assert.ok(counted.storedOverDistinct <= 1.08, `${counted.storedOverDistinct}`);
    assert.ok(counted.storedOverDistinct < without.storedOverDistinct - 0.03);
    assert.ok(counted.medianLayers <= 30, `${counted.medianLayers}`);
  });

  test("stores at most 15 % more without any popularity data", () => {
    for (const set of ["Debian, no counts", "made-up, no counts"]) {
      const { storedOverDistinct, medianLayers } = row(set, "bundles");
      assert.ok(storedOverDistinct <= 1.15 && medianLayers <= 30, `${set} ${storedOverDistinct}`);
    }
  });

  test("re-uses nearly what one path a layer would", () => {
    for (const set of ["Debian", "made-up"]) {
      const { reusedShare, neighbourShare } = row(set, "bundles");
      const best = row(set, "one path each");
      assert.ok(reusedShare > best.reusedShare - 0.01, `${reusedShare}`);
      assert.ok(neighbourShare > best.neighbourShare - 0.01, `${neighbourShare}`);
    }
  });

  test("keeps several big programs within 100 layers, most bytes shared with a neighbour", () => {
    const { maxLayers, neighbourShare, reusedShare } = row("big programs", "bundles");
    assert.ok(maxLayers <= 100);
    assert.ok(neighbourShare > 0.7, `${neighbourShare}`);
    const nixery = row("big programs", "Nixery");
    assert.ok(neighbourShare > 2 * nixery.neighbourShare);
    assert.ok(reusedShare > 1.5 * nixery.reusedShare);
  });

  test("prints a line for each row", () => {
    assert.equal(formatRows(rows).split("\n").length, rows.length + 1);
  });
});
