// What is told of an image whose layers are being packed and stored.

import { describe, expect, test } from "vitest";
import { createPackingCount, packingStage } from "../../../origin/images/packing-count.ts";

describe("the count of layers", () => {
  test("goes from packing to storing when all are packed", () => {
    const count = createPackingCount();
    expect(packingStage([count])).toStrictEqual({ kind: "packing" });
    const large = count.expect(90);
    const small = count.expect(10);
    large.packed();
    large.packed();
    expect(packingStage([count])).toStrictEqual({
      kind: "packing",
      layers: { done: 1, expected: 2, doneBytes: 90, expectedBytes: 100 },
    });
    // Another run had packed it.
    small.stored();
    small.stored();
    expect(packingStage([count])).toStrictEqual({
      kind: "storing",
      layers: { done: 1, expected: 2, doneBytes: 10, expectedBytes: 100 },
    });
  });

  test("is one for whoever waits for several runs", () => {
    const counts = [createPackingCount(), createPackingCount()];
    for (const count of counts) count.expect(50);
    expect(packingStage(counts)).toMatchObject({ layers: { expected: 2, expectedBytes: 100 } });
  });
});
