// Repository name to recipe: Nixery's rules, and the limits and refusals that are this registry's.

import { assert, describe, expect, test } from "vitest";
import {
  canonicalRecipe,
  isImplicit,
  MAX_NAME_LENGTH,
  MAX_PACKAGES,
  namesOf,
  type PackageName,
  parseCanonicalRecipe,
  parseRepository,
  systemOf,
  wordNeeding,
} from "../../../registry/naming/recipe.ts";
import { recipeOf } from "../fixture.ts";

const SHELL = ["bashInteractive", "coreutils", "moreutils", "nano"];
const UNIX = [
  ...["diffutils", "findutils", "gawk", "gnugrep", "gnused", "gnutar", "gzip", "less"],
  ...["procps", "which"],
];
const ALWAYS = ["cacert", "iana-etc"];

describe("parseRepository", () => {
  const recipes: readonly [name: string, architecture: string, packages: readonly string[]][] = [
    ["hello", "amd64", ["cacert", "hello", "iana-etc"]],
    ["git/htop", "amd64", ["cacert", "git", "htop", "iana-etc"]],
    ["htop/git", "amd64", ["cacert", "git", "htop", "iana-etc"]],
    ["git/git", "amd64", ["cacert", "git", "iana-etc"]],
    ["cacert/iana-etc/git", "amd64", ["cacert", "git", "iana-etc"]],
    ["shell", "amd64", [...SHELL, "cacert", "iana-etc"]],
    ["shell/htop", "amd64", [...SHELL, "cacert", "htop", "iana-etc"]],
    ["shell/nano/coreutils", "amd64", [...SHELL, "cacert", "iana-etc"]],
    ["arm64", "arm64", ["cacert", "iana-etc"]],
    ["amd64/hello", "amd64", ["cacert", "hello", "iana-etc"]],
    ["amd64/amd64/hello", "amd64", ["cacert", "hello", "iana-etc"]],
    ["arm64/hello", "arm64", ["cacert", "hello", "iana-etc"]],
    ["arm64/shell/git", "arm64", [...SHELL, "cacert", "git", "iana-etc"]],
    ["shell/arm64/git", "arm64", [...SHELL, "cacert", "git", "iana-etc"]],
    ["shell/arm64/shell/arm64/git", "arm64", [...SHELL, "cacert", "git", "iana-etc"]],
    ["python3packages.numpy", "amd64", ["cacert", "iana-etc", "python3packages.numpy"]],
    ["1password/0ad", "amd64", ["0ad", "1password", "cacert", "iana-etc"]],
    [
      "a_b/a__b/a-b/a---b/a.b",
      "amd64",
      ["a---b", "a-b", "a.b", "a__b", "a_b", "cacert", "iana-etc"],
    ],
    ["gtk--2b/h.0--46oo", "amd64", ["cacert", "gtk--2b", "h.0--46oo", "iana-etc"]],
    ["amd64x/hello", "amd64", ["amd64x", "cacert", "hello", "iana-etc"]],
    ["shells/arm64x", "amd64", ["arm64x", "cacert", "iana-etc", "shells"]],
    ["z/manifests/blobs", "amd64", ["blobs", "cacert", "iana-etc", "manifests", "z"]],
  ];
  for (const [name, architecture, packages] of recipes) {
    test(`reads ${name} as ${architecture} ${packages.join(" ")}`, () => {
      const recipe = { architecture, words: [], packages: [...packages].sort() };
      expect(recipeOf(name)).toStrictEqual(recipe);
    });
  }

  test.for<[name: string, words: readonly string[], packages: readonly string[]]>([
    ["unix", [], UNIX],
    ["unix/shell/gzip", [], [...SHELL, ...UNIX]],
    ["fhs", ["fhs"], []],
    ["nonroot/git", ["nonroot"], ["git"]],
    ["nonroot/fhs/git", ["fhs", "nonroot"], ["git"]],
    ["fhs/fhs/coreutils", ["fhs"], ["coreutils"]],
    ["fhs/unix/nonroot/shell/git", ["fhs", "nonroot"], [...SHELL, ...UNIX, "git"]],
  ])("reads %s as the words %j and %j", ([name, words, packages]) => {
    const recipe = recipeOf(name);
    expect(recipe.words).toStrictEqual(words);
    expect(recipe.packages).toStrictEqual([...packages, ...ALWAYS].sort());
  });

  test("leaves the platform open where a name says none", () => {
    const platforms = ["git", "shell/git", "amd64/git", "arm64/git"].map((name) => {
      const result = parseRepository(name);
      assert(result.kind === "recipe");
      return result.recipe.architecture;
    });
    expect(platforms).toStrictEqual([null, null, "amd64", "arm64"]);
  });

  test("sorts by bytes, capitals before small letters", () => {
    expect(recipeOf("shell/aaa/zsh").packages).toStrictEqual([
      ...["aaa", "bashInteractive", "cacert", "coreutils", "iana-etc", "moreutils", "nano", "zsh"],
    ]);
  });

  const refusals: readonly [name: string, reason: RegExp][] = [
    ["", /empty part/],
    ["/", /empty part/],
    ["git/", /empty part/],
    ["/git", /empty part/],
    ["git//htop", /empty part/],
    ["UPPER/case", /"UPPER" has upper-case letters.*write "upper"/],
    ["git/libsForQt5", /"libsForQt5" has upper-case letters.*write "libsforqt5"/],
    ["a..b", /"a\.\.b" is no part of an image name/],
    ["a___b", /"a___b" is no part/],
    ["a._b", /"a\._b" is no part/],
    [".git", /"\.git" is no part/],
    ["git.", /"git\." is no part/],
    ["-git", /"-git" is no part/],
    ["git-", /"git-" is no part/],
    ["_git", /"_git" is no part/],
    ["..", /"\.\." is no part/],
    ["a+b", /"a\+b" is no part/],
    ["a@b", /"a@b" is no part/],
    ["a:b", /"a:b" is no part/],
    ["a b", /"a b" is no part/],
    ["git\n", /"git\\n" is no part/],
    ["gît", /is no part/],
    ["git|htop", /is no part/],
    ["gtk+", /; a package that is called so is written "gtk--2b"$/],
    ["h._Foo", /; a package that is called so is written "h\.0--5f--46oo"$/],
    ["pkgs.é", /; no name can say a package that is called so: its set must give it another/],
    ["h--65llo", /"h--65llo" escapes what needs none.*: write "hello"$/],
    ["0--66oo", /: write "foo"$/],
    ["h.a--2db", /: write "h\.a-b"$/],
    ["f--4f-", /is no part of an image name/],
    [Array(17).fill("a").join("."), /17 parts joined by dots; 16 are allowed/],
    ["htop/git/shell", /shell is a front word and stands only in front: shell\/htop\/git$/],
    ["git/arm64", /arm64 is a front word and stands only in front: arm64\/git$/],
    ["git/amd64", /amd64 is a front word and stands only in front: amd64\/git$/],
    ["amd64/arm64/git", /amd64 and arm64 are two platforms: name one of them, or neither/],
    ["arm64/shell/git/amd64", /two platforms/],
    ["shell/git/arm64", /stands only in front: arm64\/shell\/git$/],
    ["git/shell/htop/shell", /stands only in front: shell\/git\/htop$/],
    ["git/fhs", /fhs is a front word and stands only in front: fhs\/git$/],
    ["shell/git/unix", /unix is a front word and stands only in front: unix\/shell\/git$/],
    ["fhs/git/nonroot", /nonroot is a front word .*: nonroot\/fhs\/git$/],
  ];
  test.for(refusals)("refuses %j and says why", ([name, reason]) => {
    const result = parseRepository(name);
    assert(result.kind === "invalid", JSON.stringify(result));
    expect(result.reason).toMatch(reason);
  });

  test("suggests a name that is itself a recipe", () => {
    for (const name of ["htop/git/shell", "git/arm64", "shell/git/arm64/shell"]) {
      const result = parseRepository(name);
      assert(result.kind === "invalid");
      let suggested = parseRepository(result.reason.split(": ")[1] ?? "");
      if (suggested.kind === "invalid") {
        suggested = parseRepository(suggested.reason.split(": ")[1] ?? "");
      }
      expect(suggested.kind, name).toBe("recipe");
    }
  });

  test("takes a name of 255 characters and refuses 256", () => {
    expect(parseRepository("a".repeat(MAX_NAME_LENGTH)).kind).toBe("recipe");
    const result = parseRepository("a".repeat(MAX_NAME_LENGTH + 1));
    assert(result.kind === "invalid");
    expect(result.reason).toMatch(/256 characters; 255 are allowed/);
  });

  test("takes 64 packages, those of every image and of front words counted, and refuses 65", () => {
    const names = Array.from({ length: MAX_PACKAGES }, (_, index) => `p${index.toString(36)}`);
    expect(recipeOf(names.slice(0, 62).join("/")).packages).toHaveLength(MAX_PACKAGES);
    expect(recipeOf(`shell/${names.slice(0, 58).join("/")}`).packages).toHaveLength(MAX_PACKAGES);
    for (const name of [names.slice(0, 63), ["shell", ...names.slice(0, 59)]]) {
      const result = parseRepository(name.join("/"));
      assert(result.kind === "invalid");
      expect(result.reason).toMatch(/65 packages; 64 are allowed/);
    }
  });

  test("decides about a hostile name in no time", { timeout: 2000 }, () => {
    for (const part of ["a-", "a_", "-", "a.", "__", "/"]) {
      parseRepository(part.repeat(MAX_NAME_LENGTH).slice(0, MAX_NAME_LENGTH));
    }
  });
});

describe("canonicalRecipe", () => {
  const spellings: readonly [canonical: string, names: readonly string[]][] = [
    ["cacert/git/htop/iana-etc", ["git/htop", "htop/git", "git/htop/git", "iana-etc/git/htop"]],
    ["arm64/cacert/git/iana-etc", ["arm64/git", "arm64/arm64/git/cacert"]],
    [
      "bashInteractive/cacert/coreutils/git/iana-etc/moreutils/nano",
      ["shell/git", "shell/shell/git/nano"],
    ],
  ];
  for (const [canonical, names] of spellings) {
    test(`is ${canonical} for ${names.join(", ")}`, () => {
      for (const name of names) expect(canonicalRecipe(recipeOf(name))).toBe(canonical);
    });
  }

  test("is one for all orders of front words", () => {
    const words = ["shell", "fhs", "unix", "nonroot", "arm64"];
    const spelled = permutations(words).map((each) =>
      canonicalRecipe(recipeOf([...each, "git"].join("/"))),
    );
    expect(spelled).toHaveLength(120);
    const packages = [...SHELL, ...UNIX, ...ALWAYS, "git"].sort();
    expect([...new Set(spelled)]).toStrictEqual([
      ["arm64", "fhs", "nonroot", ...packages].join("/"),
    ]);
  });

  test.for(["git", "arm64/git", "shell/git", "fhs/git", "arm64/nonroot/fhs/unix/git/htop"])(
    "of %s is read back",
    (name) => {
      const recipe = recipeOf(name);
      expect(parseCanonicalRecipe(canonicalRecipe(recipe))).toStrictEqual(recipe);
    },
  );

  test("is read back with names as their set has them", () => {
    const spelling = "fhs/cacert/nested.Inner/Upper";
    expect(parseCanonicalRecipe(spelling)).toStrictEqual({
      ...{ architecture: "amd64", words: ["fhs"] },
      packages: ["cacert", "nested.Inner", "Upper"],
    });
  });

  test.for(["", "git//htop", "git/arm64", "amd64/git", "git/fhs", "nonroot/fhs/git"])(
    "is never %j, which is not read",
    (text) => {
      expect(parseCanonicalRecipe(text)).toBeUndefined();
    },
  );

  test("differs wherever the recipe differs", () => {
    const names = [
      ...["a/bc", "ab/c", "abc", "arm64/a/bc", "a.bc", "a/b/c", "shell/a/bc", "unix/a/bc"],
      ...["fhs/a/bc", "nonroot/a/bc", "fhs/nonroot/a/bc", "arm64/fhs/a/bc", "fhs/coreutils/a/bc"],
    ];
    const spelled = new Set(names.map((name) => canonicalRecipe(recipeOf(name))));
    expect(spelled.size).toBe(names.length);
  });
});

describe("what a word needs", () => {
  const needs = ["nix-ld", "glibc.out", "stdenv.cc.cc.lib", "zlib", "openssl.out", "coreutils"];

  test("is looked up behind what is named, each name once", () => {
    const [shell, fhs] = [recipeOf("shell/git"), recipeOf("fhs/shell/git")];
    expect(namesOf(shell)).toStrictEqual(shell.packages);
    const besides = needs.filter((name) => name !== "coreutils");
    expect(namesOf(fhs)).toStrictEqual([...shell.packages, ...besides]);
    expect(namesOf(recipeOf("nonroot/git"))).toStrictEqual(recipeOf("git").packages);
  });

  test.for([
    ["fhs/git", "zlib", "fhs"],
    ["fhs/zlib", "zlib", undefined],
    ["zlib", "zlib", undefined],
    ["fhs/git", "git", undefined],
    ["nonroot/git", "zlib", undefined],
  ] as const)("of %s: %s is needed by %s", ([repository, name, word]) => {
    expect(wordNeeding(recipeOf(repository), name as PackageName)).toBe(word);
  });
});

function permutations(words: readonly string[]): readonly (readonly string[])[] {
  if (words.length === 0) return [[]];
  return words.flatMap((word) =>
    permutations(words.filter((each) => each !== word)).map((rest) => [word, ...rest]),
  );
}

test("what every image holds is implicit, and nothing else is", () => {
  const implicit = recipeOf("shell/git/cacert").packages.filter(isImplicit);
  expect(implicit).toStrictEqual(["cacert", "iana-etc"]);
});

test("an architecture is named one way by OCI and another by Nix", () => {
  expect(systemOf("amd64")).toBe("x86_64-linux");
  expect(systemOf("arm64")).toBe("aarch64-linux");
});
