import { describe, expect, test } from "vitest";
import { createCounter } from "../../../origin/popularity/counter.ts";
import { storePathOf } from "../../registry/fixture.ts";

describe("createCounter", () => {
  const rows: readonly [
    title: string,
    groups: readonly (readonly string[])[],
    counts: Readonly<Record<string, number>>,
  ][] = [
    [
      "counts a path once in each group",
      [["a-1", "a-1", "b-2"], ["a-1", "b-2"], ["a-1"]],
      { a: 3, b: 2 },
    ],
    ["leaves out what one group has", [["a-1"], ["b-1"]], {}],
    ["takes the version that most need", [["a-1"], ["a-1"], ["a-1"], ["a-2"], ["a-2"]], { a: 3 }],
    [
      "counts who needs two outputs once",
      [
        ["a-1", "a-1-bin"],
        ["a-1", "a-1-bin"],
      ],
      { a: 2 },
    ],
    [
      "orders by bytes",
      [
        ["b-1", "a-1", "B-1"],
        ["a-1", "b-1", "B-1"],
      ],
      { B: 2, a: 2, b: 2 },
    ],
  ];
  test.for(rows)("%s", ([, groups, counts]) => {
    const counter = createCounter();
    for (const group of groups) counter.add(group.map(storePathOf));
    expect([...counter.byPackage()]).toStrictEqual(Object.entries(counts));
  });
});
