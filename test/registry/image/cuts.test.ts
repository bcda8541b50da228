// Images of more layers than the budget: which packages are taken in coarser cuts.

import { assert, describe, expect, test } from "vitest";
import { LAYER_BUDGET } from "../../../registry/image/arrange.ts";
import { compose } from "../../../registry/image/compose.ts";
import { bundlesOf, chooseCuts } from "../../../registry/image/cuts.ts";
import type { LayerRecord, PackageRecord } from "../../../registry/image/record.ts";
import { bundleOf, layerOf, recipeOf, recordOf, storePathOf, viewOf } from "../fixture.ts";

const JOINED = layerOf("joined");

/** A package of so many private bundles and a view, with one coarser cut that joins the bundles. */
function large(name: string, bundles: number, layer: LayerRecord | null = JOINED): PackageRecord {
  const parts = Array.from({ length: bundles }, (_, index) =>
    bundleOf([`${name}-part-${index}`], 1),
  );
  const members = parts.map((_, index) => index);
  const view = { members: [], popularity: 0, holdsView: true, layer: viewOf(name) };
  return recordOf(name, {
    bundles: parts,
    coarser: [[{ members, popularity: 1, holdsView: false, layer }, view]],
  });
}

const levels = (records: readonly PackageRecord[], budget: number) =>
  chooseCuts(records, budget).cuts.map(({ level }) => level);

describe("chooseCuts", () => {
  const [small, middle, big] = [large("small", 2), large("middle", 5), large("big", 9)];

  const rows: readonly [budget: number, levels: readonly number[]][] = [
    [19, [0, 0, 0]],
    [18, [0, 0, 1]],
    [11, [0, 0, 1]],
    [10, [0, 1, 1]],
    [6, [1, 1, 1]],
    [0, [1, 1, 1]],
  ];
  test.for(rows)(
    "takes $1 for 2, 5 and 9 bundles, 3 views and a budget of $0",
    ([budget, expected]) => {
      expect(levels([small, middle, big], budget)).toStrictEqual(expected);
      expect(levels([big, middle, small], budget)).toStrictEqual(expected.toReversed());
    },
  );

  test("breaks a tie by store path, whatever the order of records", () => {
    const [a, b] = [large("a", 4), large("b", 4)];
    const coarse = (records: readonly PackageRecord[]) =>
      chooseCuts(records, 9).cuts.flatMap(({ record, level }) => (level > 0 ? record.outputs : []));
    expect(coarse([a, b])).toStrictEqual(coarse([b, a]));
    expect(coarse([a, b])).toStrictEqual([storePathOf("a"), storePathOf("b")].sort().slice(0, 1));
  });

  test("counts a bundle that packages share once", () => {
    const shared = { bundles: [bundleOf(["glibc-2.36"], 9)] };
    const { bundles, views } = chooseCuts([recordOf("a", shared), recordOf("b", shared)], 3);
    expect([bundles.length, views.length]).toStrictEqual([1, 2]);
  });

  test("names the store paths of a coarser bundle", () => {
    const [bundle] = bundlesOf({ record: small, level: 1 });
    expect(bundle?.storePaths).toStrictEqual(["small-part-0", "small-part-1"].map(storePathOf));
  });
});

describe("an image of more layers than the budget", () => {
  const composed = (...records: readonly PackageRecord[]) =>
    compose(recipeOf("big"), [], records, "oci-gzip");

  test("holds the joined layer instead of the fine ones", async () => {
    const result = await composed(large("big-1", LAYER_BUDGET));
    assert(result.kind === "image");
    const manifest = new TextDecoder().decode(result.image.manifest.bytes);
    expect(
      JSON.parse(manifest).layers.map(({ digest }: { digest: string }) => digest),
    ).toStrictEqual([JOINED, viewOf("big-1")].map(({ digest }) => digest));
  });

  test("is asked of the origin while nobody has joined the layer", async () => {
    const record = large("big-1", LAYER_BUDGET, null);
    const result = await composed(record, large("small", 2));
    expect(result).toStrictEqual({ kind: "cuts-missing", cuts: [{ record, level: 1 }] });
  });

  test("is not asked for a layer that it does not need", async () => {
    expect((await composed(large("big-1", LAYER_BUDGET - 1, null))).kind).toBe("image");
  });
});
