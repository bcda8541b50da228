// What a recipe is once its names are known.

import { describe, expect, test } from "vitest";
import {
  canonicalImageOf,
  canonicalName,
  isDirectName,
} from "../../../registry/image/canonical.ts";
import type { Found, FoundImage } from "../../../registry/image/lookup.ts";
import { partsOf } from "../../../registry/image/part.ts";
import { namesOf, type PackageName } from "../../../registry/naming/recipe.ts";
import { foundOf, recipeOf } from "../fixture.ts";

const image: FoundImage = {
  kind: "image",
  attribute: "nixportImages.my.Site",
  contents: [],
  config: {},
};

/** What the names of these tests lead to. */
const ATTRIBUTES: Readonly<Record<string, string>> = {
  "python3packages.numpy": "python3Packages.numpy",
  "pkgs.hello": "hello",
  "hello.out": "hello",
  "pkgs.cacert": "cacert",
  bashinteractive: "bashInteractive",
  "glibc.out": "glibc",
};

function found(name: string): Found {
  const attribute = ATTRIBUTES[name] ?? name;
  return name === "my.site" ? image : { ...foundOf(`${attribute}-1`), attribute };
}

function canonical(repository: string) {
  const recipe = recipeOf(repository);
  return canonicalImageOf(
    recipe,
    namesOf(recipe).map((name) => ({ name, found: found(name) })),
  );
}

describe("a canonical recipe", () => {
  test.each([
    ["hello", ["cacert", "hello", "iana-etc"]],
    ["hello.out", ["cacert", "hello", "iana-etc"]],
    ["pkgs.hello/hello.out/hello", ["cacert", "hello", "iana-etc"]],
    ["pkgs.cacert/hello", ["cacert", "hello", "iana-etc"]],
    ["python3packages.numpy/zsh", ["cacert", "iana-etc", "python3Packages.numpy", "zsh"]],
    ["my.site", ["cacert", "iana-etc", "my--2eSite"]],
  ])("of %s has %j", (repository, packages) => {
    const { recipe, ingredients } = canonical(repository);
    expect(recipe.packages).toStrictEqual(packages);
    expect(ingredients.map(({ name }) => name)).toStrictEqual(packages);
    expect(ingredients.map((each) => canonicalName(each.found))).toStrictEqual(packages);
  });

  test("is that of shell where all of it is named one by one", () => {
    const named = canonical("bashinteractive/coreutils/moreutils/nano");
    expect(named).toStrictEqual(canonical("shell"));
    expect(partsOf(named.ingredients).map(({ kind }) => kind)).toStrictEqual(["shell", "ground"]);
  });

  test("keeps the platform and the words", () => {
    const { architecture, words } = canonical("nonroot/arm64/hello.out").recipe;
    expect([architecture, words]).toStrictEqual(["arm64", ["nonroot"]]);
  });

  test("has nothing in it of what a word needs, which is among the ingredients by itself", () => {
    const { recipe, ingredients } = canonical("fhs/zlib/hello.out");
    expect(recipe.packages).toStrictEqual(["cacert", "hello", "iana-etc", "zlib"]);
    const needed = ingredients.filter(({ neededBy }) => neededBy === "fhs");
    expect(needed.map(({ name }) => name)).toStrictEqual([
      ...["nix-ld", "glibc", "stdenv.cc.cc.lib", "zlib", "openssl.out", "coreutils"],
    ]);
    expect(ingredients).toHaveLength(recipe.packages.length + needed.length);
  });
});

test.each([
  ["hello", true],
  ["pkgs.hello", false],
  ["hello.out", false],
  ["python3packages.numpy", true],
  ["my.site", true],
  // Not by its letters, but one of a few: the edge reads it before it knows more.
  ["glibc.out", true],
])("%s leads there by its letters alone: %s", (name, is) => {
  expect(isDirectName(name as PackageName, found(name))).toBe(is);
});
