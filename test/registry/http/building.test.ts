// How far a build is, in words, and the detail by which an edge knows that it is one.

import { describe, expect, test } from "vitest";
import {
  type BuildProgress,
  describeProgress,
  isStillBuilding,
} from "../../../registry/http/building.ts";

const NOTHING: BuildProgress = {
  builds: { done: 0, expected: 0, running: [] },
  downloads: { doneBytes: 0, expectedBytes: 0 },
};

describe("describeProgress", () => {
  const rows: readonly [progress: Partial<BuildProgress>, text: string][] = [
    [{}, ""],
    [{ builds: { done: 1, expected: 5, running: ["gcc-13.2"] } }, "building 2 of 5: gcc-13.2"],
    [
      { builds: { done: 0, expected: 9, running: ["a", "b", "c", "d", "e"] } },
      "building 5 of 9: a, b, c and 2 more",
    ],
    // Nix may tell of builders before it counts them.
    [{ builds: { done: 4, expected: 4, running: ["a", "b"] } }, "building 6 of 6: a, b"],
    // What is expected before it is known whether it is built or fetched is not worth a word.
    [{ builds: { done: 0, expected: 5, running: [] } }, ""],
    [{ downloads: { doneBytes: 40e6, expectedBytes: 120.4e6 } }, "downloading 40 of 120 MB"],
    [{ downloads: { doneBytes: 5e6, expectedBytes: 5e6 } }, ""],
    [
      {
        builds: { done: 1, expected: 5, running: ["gcc-13.2"] },
        downloads: { doneBytes: 40e6, expectedBytes: 120e6 },
      },
      "building 2 of 5: gcc-13.2; downloading 40 of 120 MB",
    ],
  ];
  for (const [progress, text] of rows) {
    test(`says ${JSON.stringify(text)} of ${JSON.stringify(progress)}`, () => {
      expect(describeProgress({ ...NOTHING, ...progress })).toBe(text);
    });
  }
});

describe("isStillBuilding", () => {
  test("is so for the one entry of such an error's detail, and for nothing else", () => {
    expect(isStillBuilding([{ reason: "building", progress: NOTHING }])).toBe(true);
    expect(isStillBuilding([{ reason: "building", progress: null }])).toBe(true);
    const others = [undefined, null, "building", {}, { reason: "building" }, [], [{}]];
    for (const other of [...others, [{ reason: "unreachable" }]])
      expect(isStillBuilding(other)).toBe(false);
  });
});
