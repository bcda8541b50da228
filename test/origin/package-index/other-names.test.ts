import { describe, expect, test } from "vitest";
import { nameOthers } from "../../../origin/package-index/other-names.ts";
import { foundOf } from "../../registry/fixture.ts";

describe("nameOthers", () => {
  test("knows a package by an attribute of the set itself, then the shortest, then the first", () => {
    const git = foundOf("git-2");
    const said = [
      ...["g.t", "gitMinimal", "gitB", "gitA"].map((attribute) => ({ attribute, said: git })),
      // Other outputs of the same derivation are another package.
      { attribute: "git", said: { ...git, outputs: foundOf("git-doc").outputs } },
      { attribute: "broken", said: { kind: "broken" as const } },
    ];
    const also = nameOthers(said).map((entry) => [entry.attribute, entry.also]);
    expect(also).toStrictEqual([
      ["g.t", "gitA"],
      ["gitMinimal", "gitA"],
      ["gitB", "gitA"],
      ["gitA", undefined],
      ["git", undefined],
      ["broken", undefined],
    ]);
  });
});
