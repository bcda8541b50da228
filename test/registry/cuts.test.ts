// Images of more layers than the budget: which packages are taken in coarser cuts.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { compose, type Ingredient, LAYER_BUDGET } from "../../registry/compose.ts";
import { bundlesOf, chooseCuts } from "../../registry/cuts.ts";
import type { LayerRecord, PackageRecord } from "../../registry/record.ts";
import { bundleOf, foundOf, layerOf, recipeOf, recordOf, storePathOf } from "./fixture.ts";

const JOINED = layerOf("joined");

/** A package of so many private bundles, with one coarser cut that holds them all. */
function large(name: string, bundles: number, layer: LayerRecord | null = JOINED): PackageRecord {
  const parts = Array.from({ length: bundles }, (_, index) =>
    bundleOf([`${name}-part-${index}`], 1),
  );
  const members = parts.map((_, index) => index);
  return recordOf(name, {
    bundles: parts,
    coarser: [[{ members, popularity: 1, holdsView: false, layer }]],
  });
}

const levels = (records: readonly PackageRecord[], budget: number) =>
  chooseCuts(records, budget).map(({ level }) => level);

function ingredients(...records: readonly PackageRecord[]): readonly Ingredient[] {
  const [name = assert.fail()] = recipeOf("big").packages;
  return records.map((record) => ({ name, found: foundOf("big-1"), records: [record] }));
}

describe("chooseCuts", () => {
  const [small, middle, big] = [large("small", 2), large("middle", 5), large("big", 9)];

  const rows: readonly [budget: number, levels: readonly number[]][] = [
    [16, [0, 0, 0]],
    [15, [0, 0, 1]],
    [8, [0, 0, 1]],
    [7, [0, 1, 1]],
    [3, [1, 1, 1]],
    [0, [1, 1, 1]],
  ];
  for (const [budget, expected] of rows) {
    test(`takes ${expected} for 2, 5 and 9 bundles and a budget of ${budget}`, () => {
      assert.deepEqual(levels([small, middle, big], budget), expected);
      assert.deepEqual(levels([big, middle, small], budget), expected.toReversed());
    });
  }

  test("breaks a tie by store path, whatever the order of records", () => {
    const [a, b] = [large("a", 4), large("b", 4)];
    const coarse = (records: readonly PackageRecord[]) =>
      chooseCuts(records, 5).flatMap(({ record, level }) => (level > 0 ? [record.storePath] : []));
    assert.deepEqual(coarse([a, b]), coarse([b, a]));
    assert.deepEqual(coarse([a, b]), [storePathOf("a"), storePathOf("b")].sort().slice(0, 1));
  });

  test("counts a bundle that packages share once", () => {
    const shared = { bundles: [bundleOf(["glibc-2.36"], 9)] };
    assert.deepEqual(levels([recordOf("a", shared), recordOf("b", shared)], 1), [0, 0]);
  });

  test("names the store paths of a coarser bundle", () => {
    const [bundle] = bundlesOf({ record: small, level: 1 });
    assert.deepEqual(bundle?.storePaths, ["small-part-0", "small-part-1"].map(storePathOf));
  });
});

describe("an image of more layers than the budget", () => {
  test("holds the joined layer instead of the fine ones", async () => {
    const given = ingredients(large("big-1", LAYER_BUDGET));
    const result = await compose(recipeOf("big"), given, layerOf("base"), "oci-gzip");
    assert(result.kind === "image");
    const manifest = new TextDecoder().decode(result.image.manifest.bytes);
    assert.deepEqual(
      JSON.parse(manifest).layers.map(({ digest }: { digest: string }) => digest),
      [layerOf("base"), JOINED, layerOf("view big-1")].map(({ digest }) => digest),
    );
  });

  test("is asked of the origin while nobody has joined the layer", async () => {
    const record = large("big-1", LAYER_BUDGET, null);
    const given = ingredients(record, large("small", 2));
    const result = await compose(recipeOf("big"), given, layerOf("base"), "oci-gzip");
    assert.deepEqual(result, { kind: "cuts-missing", cuts: [{ record, level: 1 }] });
  });

  test("is not asked for a layer that it does not need", async () => {
    const given = ingredients(large("big-1", LAYER_BUDGET - 2, null));
    const result = await compose(recipeOf("big"), given, layerOf("base"), "oci-gzip");
    assert.equal(result.kind, "image");
  });
});
