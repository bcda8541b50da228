// Which outputs share a record, and in which order parts lie in an image.

import { assert, describe, expect, test } from "vitest";
import { canonicalImageOf } from "../../../registry/image/canonical.ts";
import {
  type Ingredient,
  loneOutput,
  outputsBrought,
  ownersOf,
  PART_KINDS,
  partName,
  partsOf,
} from "../../../registry/image/part.ts";
import { namesOf, type PackageName } from "../../../registry/naming/recipe.ts";
import { storePathBase, storePathName } from "../../../registry/naming/store-path.ts";
import { foundOf, recipeOf, storePathOf } from "../fixture.ts";

/** A recipe of packages with one output each, but for `two`. */
function ingredientsOf(repository: string): readonly Ingredient[] {
  const recipe = recipeOf(repository);
  const asked = namesOf(recipe).map((name) => {
    const found = foundOf(`${name}-1`, name === "nix" ? { mainProgram: "nix" } : {});
    const man = { name: "man", path: storePathOf(`${name}-1-man`) };
    const outputs = name === "two" ? [...found.outputs, man] : found.outputs;
    return { name, found: { ...found, outputs } };
  });
  return canonicalImageOf(recipe, asked).ingredients;
}

/** `git-1`, and `ground: cacert-1 …`. */
function parts(ingredients: readonly Ingredient[]): readonly string[] {
  return partsOf(ingredients).map(({ kind, outputs }) => {
    const names = outputs.map(storePathName).join(" ");
    return kind === "package" ? names : `${kind}: ${names}`;
  });
}

const GROUND = "ground: cacert-1 iana-etc-1";
const UNIX =
  "unix: diffutils-1 findutils-1 gawk-1 gnugrep-1 gnused-1 gnutar-1 gzip-1 less-1 procps-1 which-1";
const FHS = "fhs: nix-ld-1 glibc.out-1 stdenv.cc.cc.lib-1 zlib-1 openssl.out-1 coreutils-1";
const SHELL = "shell: bashInteractive-1 coreutils-1 moreutils-1 nano-1";

/** Every output of these parts and the ground, in the order of their paths. */
function ofAll(...above: readonly string[]): string {
  const names = [...above, GROUND].flatMap((part) => part.replace(/^\w+: /, "").split(" "));
  return [...new Set(names)].map(storePathOf).sort().map(storePathName).join(" ");
}

describe("partsOf", () => {
  const rows: readonly [repository: string, parts: readonly string[]][] = [
    ["git/htop", ["git-1", "htop-1", GROUND]],
    ["cacert", [GROUND]],
    ["iana-etc/zsh", ["zsh-1", GROUND]],
    ["two", ["two-1 two-1-man", GROUND]],
    ["shell", [SHELL, GROUND]],
    ["shell/zsh/busybox", ["busybox-1", "zsh-1", SHELL, GROUND]],
    ["shell/nano", [SHELL, GROUND]],
    // Part of a shell is no shell.
    ["nano/coreutils", ["coreutils-1", "nano-1", GROUND]],
    ["unix", [UNIX, GROUND]],
    ["unix/shell/less/zsh", ["zsh-1", SHELL, UNIX, GROUND]],
    ["gzip/which", ["gzip-1", "which-1", GROUND]],
    ["fhs", [FHS, GROUND]],
    // What is needed is not named, and what is named is needed all the same.
    ["fhs/zlib/git", ["git-1", "zlib-1", FHS, GROUND]],
    ["nonroot/fhs/unix/shell/git", ["git-1", SHELL, UNIX, FHS, GROUND]],
    ["nonroot/git", ["git-1", GROUND]],
    ["nix", ["nix-1", `database: ${ofAll("nix-1")}`, GROUND]],
    ["fhs/shell/nix", ["nix-1", SHELL, FHS, `database: ${ofAll("nix-1", SHELL, FHS)}`, GROUND]],
  ];
  for (const [repository, expected] of rows) {
    test(`makes ${expected.length} of ${repository}, the first on top`, () => {
      expect(parts(ingredientsOf(repository))).toStrictEqual(expected);
    });
  }

  test.for([
    { mainProgram: "nix", name: "lix", knows: true },
    { mainProgram: null, name: "nix", knows: true },
    { mainProgram: "nix-index", name: "nix", knows: false },
    { mainProgram: null, name: "nix-index", knows: false },
  ])("has a database for $name with the program $mainProgram: $knows", ({ knows, ...said }) => {
    const [first, ...others] = ingredientsOf("git");
    assert(first?.found.kind === "found");
    const ingredients = [{ ...first, found: { ...first.found, ...said } }, ...others];
    const kinds = partsOf(ingredients).map(({ kind }) => kind);
    expect(kinds.includes("database")).toBe(knows);
  });

  test("has one database of the same outputs, whatever brings them", () => {
    const databases = ["shell/nix", "nano/nix/moreutils/coreutils/bashinteractive"].map((name) => {
      // `bashinteractive` is the same attribute, as the package set finds it.
      const ingredients = ingredientsOf(name).map((each) =>
        each.name === "bashinteractive" ? { ...each, found: foundOf("bashInteractive-1") } : each,
      );
      return partsOf(ingredients).filter(({ kind }) => kind === "database");
    });
    expect(databases[0]).toHaveLength(1);
    expect(databases[0]).toStrictEqual(databases[1]);
  });

  test("makes one of two names that lead to one package, at the first's place", () => {
    const [cacert, git, iana] = ingredientsOf("git");
    assert(cacert && git && iana);
    const alias = { ...git, name: "zgit" as PackageName };
    expect(parts([cacert, git, iana, alias])).toStrictEqual(["git-1", GROUND]);
  });

  test("makes one of each package of a whole image, wherever its name comes from", () => {
    const contents = [foundOf("git-1"), foundOf("nano-1")];
    const image = { kind: "image", attribute: "nixportImages.x", contents, config: {} } as const;
    for (const name of ["web", "nano", "cacert"]) {
      const others = ingredientsOf("shell").filter((each) => each.name !== name);
      const made = parts([{ name: name as PackageName, found: image }, ...others]);
      expect(made.slice(0, 2), name).toStrictEqual(["git-1", "nano-1"]);
    }
  });

  test("makes a ground for whatever there is, so that an image always has one", () => {
    expect(parts([])).toStrictEqual(["ground: "]);
  });
});

describe("a part", () => {
  const named = (repository: string) => partsOf(ingredientsOf(repository)).map(partName);

  test("is named after its one output, or after all of them", () => {
    const [git, two, ground] = partsOf(ingredientsOf("git/two"));
    assert(git && two && ground);
    expect(partName(git)).toBe(storePathBase(storePathOf("git-1")));
    expect(loneOutput(git)).toBe(storePathOf("git-1"));
    expect([loneOutput(two), loneOutput(ground)]).toStrictEqual([undefined, undefined]);
    expect(partName(two)).toMatch(/-two-1 [^ ]+-two-1-man$/);
  });

  test("is named like no other", () => {
    const names = ["git", "two", "shell", "zsh"].flatMap(named);
    expect(new Set(names).size).toBe(5);
    const outputs = [storePathOf("git-1")];
    const sameOutputs = PART_KINDS.map((kind) => partName({ kind, outputs }));
    expect(new Set(sameOutputs).size).toBe(PART_KINDS.length);
  });

  test("is owned by all whose outputs it has", () => {
    const ingredients = ingredientsOf("shell/git");
    const [git, shell, ground] = partsOf(ingredients);
    assert(git && shell && ground);
    const owners = (part: typeof git) => ownersOf(part, ingredients).map(({ name }) => name);
    expect(owners(git)).toStrictEqual(["git"]);
    expect(owners(shell)).toStrictEqual(["bashInteractive", "coreutils", "moreutils", "nano"]);
    expect(owners(ground)).toStrictEqual(["cacert", "iana-etc"]);
  });
});

describe("outputsBrought", () => {
  test("is every output, but of a database, which only knows of them", () => {
    const outputs = [storePathOf("a"), storePathOf("b")];
    for (const kind of PART_KINDS) {
      const brought = outputsBrought({ kind, outputs });
      expect(brought, kind).toStrictEqual(kind === "database" ? [] : outputs);
    }
  });
});
