import { assert, describe, expect, test } from "vitest";
import { cutLevels } from "../../../origin/layers/bundles.ts";
import { closureOf, generatePackageGraph } from "./package-graph.ts";
import { debianSet, programSet } from "./package-set.ts";
import { createRandom } from "./random.ts";
import { formatRows, SIMULATION, type SimulationRow, simulate, simulateSet } from "./simulate.ts";

const graph = generatePackageGraph(SIMULATION.seed);
const rows = simulate();

function row(set: string, rule: string): SimulationRow {
  const found = rows.find((candidate) => candidate.set === set && candidate.rule === rule);
  assert(found, `${set}, ${rule}`);
  return found;
}

function quantiles(values: readonly number[], shares: readonly number[]): readonly number[] {
  const sorted = values.toSorted((a, b) => a - b);
  return shares.map((share) => sorted[Math.floor(share * (sorted.length - 1))] ?? 0);
}

describe("the made-up graph", () => {
  test("is the same in every run, and another with another seed", () => {
    expect([...generatePackageGraph(1).nodes]).toStrictEqual([...graph.nodes]);
    expect([...generatePackageGraph(2).nodes]).not.toStrictEqual([...graph.nodes]);
  });

  test("has nixpkgs' size, with a median of 100 kB and paths of hundreds of megabytes", () => {
    expect(graph.nodes.size).toBeGreaterThan(30_000);
    const sizes = [...graph.nodes.values()].map(({ narSizeBytes }) => narSizeBytes);
    const [median = 0, largest = 0] = quantiles(sizes, [0.5, 1]);
    expect(median).toBeGreaterThan(70_000);
    expect(median).toBeLessThan(130_000);
    expect(largest, `${largest}`).toBeGreaterThan(300_000_000);
  });

  test("has a path nearly everything needs, and few that many need", () => {
    const counts = [...graph.nodes.keys()].map((path) => graph.popularity.count(path));
    const [median, most] = quantiles(
      counts.filter((count) => count < 1e9),
      [0.5, 1],
    );
    expect([median, most]).toStrictEqual([1, 300_000]);
    expect(counts.filter((count) => count > 10_000).length).toBeLessThan(40);
  });

  test("has closures of a few paths, of dozens, and of thousands", () => {
    const some = graph.programs.filter((_, at) => at % 20 === 0);
    const closures = some.map((path) => closureOf(graph.nodes, path).length);
    const [few = 0, median = 0, many = 0] = quantiles(closures, [0.1, 0.5, 0.95]);
    expect(few <= 5 && median >= 8 && median <= 30 && many >= 80, `${few} ${median} ${many}`).toBe(
      true,
    );
    const big = graph.bigPrograms.map((path) => closureOf(graph.nodes, path).length);
    const [least = 0, most = 0] = quantiles(big, [0, 1]);
    expect(least).toBeGreaterThanOrEqual(100);
    expect(most).toBeGreaterThan(1500);
  });

  test("has big programs whose bundles about halve from level to level", () => {
    for (const path of graph.bigPrograms) {
      const part = { kind: "package", outputs: [path] } as const;
      const levels = cutLevels(closureOf(graph.nodes, path), part, graph.popularity, true);
      const counts = levels.map((bundles) => bundles.length);
      expect((counts[4] ?? 0) < 0.5 * (counts[1] ?? 0) && (counts[5] ?? 0) < 30, `${counts}`).toBe(
        true,
      );
    }
  });
});

describe("the simulation", () => {
  test("is the same in every run", () => {
    const options = { seed: 3, images: 20, bigImages: 3, programs: 20 };
    expect(simulate(options)).toStrictEqual(simulate(options));
  });

  test("knows the real set of 59 packages", () => {
    const { closures } = debianSet();
    const paths = new Set([...closures.values()].flat().map(({ path }) => path));
    expect([closures.size, paths.size]).toStrictEqual([59, 151]);
  });

  test("stores and cuts less than before on the real set", () => {
    const { storedOverDistinct, medianLayers, maxLayers } = row("Debian", "bundles");
    expect(storedOverDistinct, `${storedOverDistinct}`).toBeLessThanOrEqual(1.04);
    expect(medianLayers).toBeLessThanOrEqual(18);
    expect(maxLayers).toBeLessThanOrEqual(32);
    const before = row("Debian", "dominators");
    expect(
      storedOverDistinct < before.storedOverDistinct && medianLayers < before.medianLayers,
    ).toBe(true);
  });

  test("stays within the bars on the made-up set", () => {
    const { storedOverDistinct, medianLayers, maxLayers } = row("made-up", "bundles");
    expect(storedOverDistinct, `${storedOverDistinct}`).toBeLessThanOrEqual(1.05);
    expect(medianLayers).toBeLessThanOrEqual(25);
    expect(maxLayers).toBeLessThanOrEqual(90);
  });

  test("stays near the bars in graphs whose images have half as many paths again", () => {
    for (const seed of [2, 3]) {
      const set = programSet(generatePackageGraph(seed), 100, createRandom(seed + 1));
      const [bundles, , onePath] = simulateSet(set, seed, { count: 200, fewest: 2, most: 5 });
      assert(bundles && onePath);
      expect(bundles.storedOverDistinct, `${bundles.storedOverDistinct}`).toBeLessThanOrEqual(1.08);
      expect(
        bundles.medianLayers <= 38 && bundles.maxLayers <= 100,
        `${bundles.medianLayers}`,
      ).toBe(true);
      expect(bundles.medianLayers).toBeLessThan(0.75 * onePath.medianLayers);
      expect(bundles.reusedShare).toBeGreaterThan(onePath.reusedShare - 0.01);
    }
  });

  test("stores less with counted derivations than without any data", () => {
    const counted = row("made-up, derivations", "bundles");
    const without = row("made-up, no counts", "bundles");
    expect(counted.storedOverDistinct, `${counted.storedOverDistinct}`).toBeLessThanOrEqual(1.08);
    expect(counted.storedOverDistinct).toBeLessThan(without.storedOverDistinct - 0.03);
    expect(counted.medianLayers, `${counted.medianLayers}`).toBeLessThanOrEqual(30);
  });

  test("stores at most 15 % more without any popularity data", () => {
    for (const set of ["Debian, no counts", "made-up, no counts"]) {
      const { storedOverDistinct, medianLayers } = row(set, "bundles");
      expect(storedOverDistinct <= 1.15 && medianLayers <= 30, `${set} ${storedOverDistinct}`).toBe(
        true,
      );
    }
  });

  test("re-uses nearly what one path a layer would", () => {
    for (const set of ["Debian", "made-up"]) {
      const { reusedShare, neighbourShare } = row(set, "bundles");
      const best = row(set, "one path each");
      expect(reusedShare, `${reusedShare}`).toBeGreaterThan(best.reusedShare - 0.01);
      expect(neighbourShare, `${neighbourShare}`).toBeGreaterThan(best.neighbourShare - 0.01);
    }
  });

  test("keeps several big programs within 100 layers, most bytes shared with a neighbour", () => {
    const { maxLayers, neighbourShare, reusedShare } = row("big programs", "bundles");
    expect(maxLayers).toBeLessThanOrEqual(100);
    expect(neighbourShare, `${neighbourShare}`).toBeGreaterThan(0.7);
    const nixery = row("big programs", "Nixery");
    expect(neighbourShare).toBeGreaterThan(2 * nixery.neighbourShare);
    expect(reusedShare).toBeGreaterThan(1.5 * nixery.reusedShare);
  });

  test("prints a line for each row", () => {
    expect(formatRows(rows).split("\n")).toHaveLength(rows.length + 1);
  });
});
