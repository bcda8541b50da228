import { assert, describe, expect, test } from "vitest";
import type { ClosureGraph } from "../../../origin/layers/closure.ts";
import {
  parseStorePath,
  type StorePath,
  storePathName,
} from "../../../registry/naming/store-path.ts";
import { groupAsNixery } from "./nixery.ts";

const REFERENCES = { A: "E", B: "E", C: "E D", D: "F G", E: "", F: "", G: "" };
const OWN_SIZES = { A: 10, B: 10, C: 10, D: 20, E: 20, F: 10, G: 150_000_000 };

function storePath(name: string): StorePath {
  const path = parseStorePath(`/nix/store/${"0".repeat(32)}-${name}`);
  assert(path);
  return path;
}

function graph(sizes: Record<string, number>): ClosureGraph {
  return Object.entries(REFERENCES).map(([name, references]) => ({
    path: storePath(name),
    narSizeBytes: sizes[name] ?? 0,
    // Nix lists a path among its own references when it names itself.
    references: [name, ...references.split(" ").filter((other) => other !== "")].map(storePath),
  }));
}

function group(sizes: Record<string, number>, counts: Record<string, number>, budget: number) {
  const roots = ["A", "B", "C", "D"].map(storePath);
  const count = (path: StorePath) => counts[storePathName(path)];
  return groupAsNixery(graph(sizes), roots, count, budget).map(
    ({ storePaths, rating }) => `${storePaths.map(storePathName).join("")} ${rating}`,
  );
}

describe("groupAsNixery", () => {
  const separate = ["A 30", "B 30", "E 2000", "G 150000000", "DF 150000040", "C 150000060"];
  const rows: readonly [budget: number, groups: readonly string[]][] = [
    [94, separate],
    [6, separate],
    [5, ["AB 60", ...separate.slice(2)]],
    [4, ["ABE 2060", ...separate.slice(3)]],
    [3, ["ABEG 150002060", ...separate.slice(4)]],
    [2, ["ABEGDF 300002100", "C 150000060"]],
    [1, ["ABEGDFC 450002160"]],
  ];
  test.for(rows)(
    "merges the lowest ratings of a popular and a big path into %s groups",
    ([budget, groups]) => {
      expect(group(OWN_SIZES, { E: 100 }, budget)).toStrictEqual(groups);
    },
  );

  test("keeps what three roots need apart without any popularity", () => {
    const sizes = { ...OWN_SIZES, G: 10 };
    expect(group(sizes, {}, 94)).toStrictEqual(["E 20", "A 30", "B 30", "DFG 60", "C 70"]);
    expect(group(sizes, {}, 4)).toStrictEqual(["EA 50", "B 30", "DFG 60", "C 70"]);
    expect(group(sizes, {}, 2)).toStrictEqual(["EABDFG 140", "C 70"]);
  });
});
