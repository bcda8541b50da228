import { describe, expect, test } from "vitest";
import { exampleNames, nearNames } from "../../../registry/package-index/near-names.ts";

describe("nearNames", () => {
  const members = ["git", "gitFull", "git-lfs", "gti", "htop", "iotop", "python3", "ripgrep"];
  const rows: readonly (readonly [wanted: string, near: readonly string[]])[] = [
    ["gitfull", ["gitFull", "git"]],
    ["git_lfs", ["git-lfs", "git"]],
    ["htpo", ["htop"]],
    ["python", ["python3"]],
    ["python-3", ["python3"]],
    ["rgrep", ["ripgrep"]],
    ["grep", ["ripgrep"]],
    ["xyzzy", []],
    ["nosuchpython", ["python3"]],
    ["", []],
    ["h".repeat(300), []],
  ];
  for (const [wanted, near] of rows) {
    test(`suggests ${near.join(", ") || "nothing"} for ${wanted.slice(0, 20)}`, () => {
      expect(nearNames(wanted, members)).toStrictEqual(near);
    });
  }

  test("puts spellings first, then typing errors, beginnings, and what holds the name", () => {
    const near = ["v-im", "vin", "vimix", "neovim"];
    expect(nearNames("vim", near.toReversed())).toStrictEqual(near);
    expect(nearNames("vim", near)).toStrictEqual(near);
  });

  test("gives at most five, in an order that does not depend on that of the set", () => {
    const many = ["lib1", "lib2", "lib3", "lib4", "lib5", "lib6", "liba"];
    expect(nearNames("lib", many)).toStrictEqual(["lib1", "lib2", "lib3", "lib4", "lib5"]);
    expect(nearNames("lib", many.toReversed())).toStrictEqual(nearNames("lib", many));
  });

  test("leaves out what a set carries besides packages", () => {
    expect(nearNames("overrid", ["override", "__override"])).toStrictEqual([]);
  });
});

describe("exampleNames", () => {
  test("gives the first packages of a set", () => {
    const members = ["__attrs", "a", "b", "callPackage", "c", "d", "e", "f"];
    expect(exampleNames(members)).toStrictEqual(["a", "b", "c", "d", "e"]);
  });
});
