import { assert, describe, expect, test } from "vitest";
import {
  type Bundle,
  cutLevels,
  LEADER_WEIGHT_BYTES,
  MAX_LEVEL,
} from "../../../origin/layers/bundles.ts";
import type { ClosureGraph } from "../../../origin/layers/closure.ts";
import {
  formatPopularity,
  NO_POPULARITY,
  type Popularity,
  parsePopularity,
} from "../../../origin/layers/popularity.ts";
import type { PartKind } from "../../../registry/image/part.ts";
import { type StorePath, storePathName } from "../../../registry/naming/store-path.ts";
import { storePath } from "./fixture.ts";

const SMALL = 1000;

/** The part of a package with one output. */
const lone = (output: StorePath) => ({ kind: "package", outputs: [output] }) as const;

/** `{ a: "b c" }`: a refers to b and c. Sizes are small unless given. */
function graph(
  references: Record<string, string>,
  sizes: Record<string, number> = {},
): ClosureGraph {
  const split = (names: string) => names.split(" ").filter((name) => name !== "");
  const names = new Set([...Object.keys(references), ...Object.values(references).flatMap(split)]);
  return [...names].map((name) => ({
    path: storePath(name),
    narSizeBytes: sizes[name] ?? SMALL,
    references: split(references[name] ?? "").map((other) => storePath(other)),
  }));
}

/** Counts of which each is a sharer. What is not named has one. */
function popularity(counts: Record<string, number>): Popularity {
  const data = {
    kind: "references",
    counted: 833,
    counts: new Map(Object.entries(counts)),
  } as const;
  const result = parsePopularity(formatPopularity(data));
  assert(result.kind === "popularity");
  return result.popularity;
}

const ONE_SHARER = popularity({ someone: 1 });

/** One of the cuts of a package with links to show. */
function cutBundles(
  closure: ClosureGraph,
  root: StorePath,
  data: Popularity,
  level = 0,
): readonly Bundle[] {
  return cutLevels(closure, lone(root), data, true)[level] ?? [];
}

function words(bundles: readonly Bundle[]): readonly string[] {
  return bundles.map(({ storePaths }) => storePaths.map(storePathName).join(" ") || "the view");
}

/** The bundles as words, in no order that matters here. */
function cut(
  closure: ClosureGraph,
  root: string,
  data: Popularity = ONE_SHARER,
  level = 0,
): readonly string[] {
  return [...words(cutBundles(closure, storePath(root), data, level))].sort();
}

const LARGE = LEADER_WEIGHT_BYTES;

describe("cutBundles", () => {
  test("keeps a closure of light paths together", () => {
    expect(cut(graph({ root: "a b", a: "c", b: "c" }), "root")).toStrictEqual(["root a b c"]);
  });

  test("gives a path of a million bytes a bundle of its own, and one byte less none", () => {
    const references = { root: "big" };
    expect(cut(graph(references, { big: LARGE }), "root")).toStrictEqual(["big", "root"]);
    expect(cut(graph(references, { big: LARGE - 1 }), "root")).toStrictEqual(["root big"]);
  });

  test("counts a path's size once for each package expected to share it, in any version", () => {
    const closure = graph({ root: "glibc-2.40" }, { "glibc-2.40": LARGE / 5 });
    expect(cut(closure, "root", popularity({ "glibc-2.31": 5 }))).toStrictEqual([
      "glibc-2.40",
      "root",
    ]);
    expect(cut(closure, "root", popularity({ "glibc-2.31": 4 }))).toStrictEqual([
      "root glibc-2.40",
    ]);
  });

  test("keeps a quarter of a million bytes apart without popularity data", () => {
    const closure = graph({ root: "a b" }, { a: LARGE / 4, b: LARGE / 4 - 1 });
    expect(cut(closure, "root", NO_POPULARITY)).toStrictEqual(["a", "root b"]);
  });

  test("gives a leader its closure without the closures of the leaders below it", () => {
    const closure = graph(
      { root: "top", top: "a low", low: "b", a: "b c" },
      { top: LARGE, low: LARGE },
    );
    expect(cut(closure, "root")).toStrictEqual(["low b", "root", "top a c"]);
  });

  test("stores a light path with each of two leaders of which neither needs the other", () => {
    const closure = graph({ root: "l r", l: "leaf", r: "leaf" }, { l: LARGE, r: LARGE });
    expect(cut(closure, "root")).toStrictEqual(["l leaf", "r leaf", "root"]);
  });

  test("does not store again with the root what a leader of its closure has", () => {
    const closure = graph({ root: "big way", big: "leaf", way: "leaf" }, { big: LARGE });
    expect(cut(closure, "root")).toStrictEqual(["big leaf", "root way"]);
  });

  test("keeps together what the same closures hold, where that is known", () => {
    const closure = graph(
      { root: "curl", curl: "gssapi ssl", gssapi: "krb5 glibc", krb5: "glibc", ssl: "glibc" },
      { curl: 0.1 * LARGE, gssapi: LARGE, krb5: LARGE, ssl: LARGE, glibc: LARGE },
    );
    const counts = new Map(
      Object.entries({ root: 1, curl: 3, gssapi: 9, krb5: 9, ssl: 12, glibc: 40 }),
    );
    const read = parsePopularity(formatPopularity({ kind: "closures", counted: 60, counts }));
    assert(read.kind === "popularity");
    const expected = ["glibc", "gssapi krb5", "root curl", "ssl"];
    expect(cut(closure, "root", read.popularity)).toStrictEqual(expected);
    expect(
      cut(closureBelow(closure, storePath("gssapi")), "gssapi", read.popularity),
    ).toStrictEqual(["glibc", "gssapi krb5", "the view"]);
  });

  test("ignores references of a path to itself", () => {
    const closure = graph({ root: "root big", big: "big a", a: "a" }, { big: LARGE });
    expect(cut(closure, "root")).toStrictEqual(["big a", "root"]);
  });

  test("makes one bundle of a package without references", () => {
    expect(cut(graph({ root: "" }), "root")).toStrictEqual(["root"]);
  });

  test("follows a chain of 10,000 paths", () => {
    const references = Object.fromEntries(
      Array.from({ length: 10_000 }, (_, at) => [`p${at}`, at === 9_999 ? "" : `p${at + 1}`]),
    );
    const bundles = cut(graph(references, { p5000: LARGE }), "p0");
    expect(bundles.map((bundle) => bundle.split(" ").length)).toStrictEqual([5000, 5000]);
  });

  test("puts the most popular bundles first, and equals in the order of their leaders", () => {
    const closure = graph({ root: "z a m nss-cacert-3 n" }, { z: LARGE, a: LARGE, m: LARGE });
    const bundles = cutBundles(closure, storePath("root"), popularity({ m: 500, n: 7 }));
    expect(bundles.map(({ popularity }, at) => [words(bundles)[at], popularity])).toStrictEqual([
      ["root n nss-cacert-3", 1_000_000_000],
      ["m", 500],
      ["a", 1],
      ["z", 1],
    ]);
  });

  test("orders equals by their paths, not by the way to them", () => {
    const closure = graph({ root: "m z", m: "a" }, { a: LARGE, m: LARGE, z: LARGE, root: LARGE });
    const bundles = cutBundles(closure, storePath("root"), ONE_SHARER);
    expect(words(bundles)).toStrictEqual(["root", "a", "m", "z"]);
  });

  test("says which path a closure lacks, which it has too many, and which go in a circle", () => {
    const root = storePath("root");
    const lacking = graph({ root: "a" }).slice(0, 1);
    expect(() => cutBundles(lacking, root, NO_POPULARITY)).toThrow(/0-a is missing/);
    const beside = [...graph({ root: "a" }), ...graph({ other: "" })];
    expect(() => cutBundles(beside, root, NO_POPULARITY)).toThrow(/does not refer to/);
    expect(() => cutBundles(graph({ root: "a", a: "b", b: "a" }), root, NO_POPULARITY)).toThrow(
      /refer to each other/,
    );
  });
});

describe("the view of a package", () => {
  const heldAt = (
    sizes: Record<string, number>,
    data: Popularity,
    options: { readonly root?: string; readonly level?: number; readonly hasView?: boolean } = {},
  ) => {
    const { root = "root", level = 0, hasView = true } = options;
    const closure = graph({ [root]: "big leaf" }, { big: 4 * LARGE, ...sizes });
    const bundles = cutLevels(closure, lone(storePath(root)), data, hasView)[level] ?? [];
    return words(bundles.filter(({ holdsView }) => holdsView));
  };
  const popular = popularity({ root: 2 });
  const cases = [
    ["lies with a light root, whoever else needs the root", heldAt({}, popular), ["root leaf"]],
    [
      "lies with a heavy root that nobody else needs",
      heldAt({ root: LARGE }, ONE_SHARER),
      ["root leaf"],
    ],
    ["is apart from a heavy root that others need", heldAt({ root: LARGE }, popular), ["the view"]],
    [
      "is apart from a heavy root without popularity data",
      heldAt({ root: LARGE }, NO_POPULARITY),
      ["the view"],
    ],
    [
      "lies with what every image holds",
      heldAt({}, NO_POPULARITY, { root: "iana-etc-1" }),
      ["iana-etc-1 leaf"],
    ],
    ["is in no bundle where there is none", heldAt({}, ONE_SHARER, { hasView: false }), []],
    [
      "lies in the joined bundle of a coarser level",
      heldAt({ big: LARGE }, ONE_SHARER, { level: 1 }),
      ["root big leaf"],
    ],
    [
      "lies in the one bundle of the coarsest level, wherever it was",
      heldAt({ root: LARGE }, popular, { level: MAX_LEVEL }),
      ["root big leaf"],
    ],
  ] as const;
  test.for(cases)("%s", ([, held, expected]) => expect(held).toStrictEqual(expected));
});

describe("a part of several outputs", () => {
  const closure = graph(
    { tool: "lib glibc", lib: "glibc", docs: "", shell: "glibc" },
    { tool: LARGE, lib: 10, glibc: LARGE, shell: 3 * LARGE },
  );
  const counts = popularity({ glibc: 8, shell: 4, lib: 2 });
  const cutPart = (names: readonly string[], kind: PartKind = "package") => {
    const part = { kind, outputs: names.map((name) => storePath(name)) };
    const reached = names.flatMap((name) => closureBelow(closure, storePath(name)));
    const distinct = [...new Map(reached.map((node) => [node.path, node])).values()];
    const [finest = []] = cutLevels(distinct, part, counts, true);
    return finest.map((bundle) => `${words([bundle])}${bundle.holdsView ? " +" : ""}`);
  };

  test("has one bundle for the view and all outputs that nobody else is expected to have", () => {
    expect(cutPart(["tool", "docs"])).toStrictEqual(["glibc", "tool docs lib +"]);
    expect(cutPart(["docs", "tool"])).toStrictEqual(["glibc", "docs tool lib +"]);
  });

  test("leaves out what others share", () => {
    expect(cutPart(["shell", "docs"])).toStrictEqual(["glibc", "shell", "docs +"]);
  });

  test("counts with those who have only some of the outputs", () => {
    // Who has the shell has the library, and who has this part has all three.
    expect(cutPart(["shell", "lib", "tool"])).toStrictEqual(["glibc", "shell", "lib tool +"]);
  });

  test("is one bundle for a shell, but for what it needs that is large by itself", () => {
    expect(cutPart(["shell", "tool", "docs"], "shell")).toStrictEqual([
      "glibc",
      "shell tool docs lib +",
    ]);
    const popular = graph({ bash: "tinfo glibc" }, { tinfo: 0.9 * LARGE, glibc: LARGE });
    const part = { kind: "shell", outputs: [storePath("bash")] } as const;
    const [finest = []] = cutLevels(popular, part, popularity({ tinfo: 8, glibc: 8 }), true);
    expect(words(finest)).toStrictEqual(["bash tinfo", "glibc"]);
  });

  test("is shared by those alone who need all its outputs, as far as the data can tell", () => {
    const two = graph({ common: "lib", rare: "lib" }, { lib: LARGE });
    const data = new Map(Object.entries({ common: 9, rare: 1, lib: 9 }));
    const read = parsePopularity(formatPopularity({ kind: "closures", counted: 60, counts: data }));
    assert(read.kind === "popularity");
    const outputs = ["common", "rare"].map((name) => storePath(name));
    const [finest = []] = cutLevels(two, { kind: "package", outputs }, read.popularity, true);
    expect(words(finest)).toStrictEqual(["common rare", "lib"]);
  });

  test("is one bundle where every image has it", () => {
    expect(cutPart(["shell", "docs"], "ground")).toStrictEqual(["shell docs glibc +"]);
    expect(cutPart([], "ground")).toStrictEqual(["the view +"]);
  });
});

describe("a coarser level", () => {
  const closure = graph(
    { root: "a b c d e leaf", a: "leaf", b: "leaf" },
    { a: LARGE, b: 1.9 * LARGE, c: 2 * LARGE, d: 3 * LARGE, e: 4 * LARGE },
  );
  const at = (level: number) => cut(closure, "root", ONE_SHARER, level);

  test("joins the bundles of each class below it, and keeps the others as they are", () => {
    expect(at(0)).toStrictEqual(["a leaf", "b leaf", "c", "d", "e", "root"]);
    expect(at(1)).toStrictEqual(["c", "d", "e", "root a b leaf"]);
    expect(at(2)).toStrictEqual(["c d", "e", "root a b leaf"]);
    expect(at(3)).toStrictEqual(["c d", "e", "root a b leaf"]);
    expect(at(MAX_LEVEL)).toStrictEqual(["root a b c d e leaf"]);
  });

  test("names first the leader that came first", () => {
    const data = popularity({ root: 3 });
    expect(cut(closure, "root", data, 1)).toStrictEqual(["c", "d", "e", "root a b leaf"]);
  });
});

/** A generator of numbers below `limit`, the same in every run (Lehmer, 48271 mod 2^31 - 1). */
function seeded(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (state * 48_271) % 2_147_483_647;
    return state % limit;
  };
}

/** Paths refer only to later ones; each but the first is referred to by an earlier one. */
function randomClosure(seed: number): ClosureGraph {
  const next = seeded(seed);
  const count = 2 + next(60);
  const paths = Array.from({ length: count }, (_, at) => storePath(`n${at}`));
  const references = paths.map(() => new Set<StorePath>());
  for (let at = 1; at < count; at += 1) {
    const path = paths[at];
    if (path === undefined) continue;
    for (let more = next(3); more >= 0; more -= 1) references[next(at)]?.add(path);
  }
  return paths.map((path, at) => ({
    path,
    narSizeBytes: next(4) === 0 ? LARGE * (1 + next(300)) : next(1000),
    references: [...(references[at] ?? [])],
  }));
}

/** The part of a closure that one of its paths reaches. */
function closureBelow(closure: ClosureGraph, root: StorePath): ClosureGraph {
  const references = new Map(closure.map((node) => [node.path, node.references]));
  const reached = new Set([root]);
  for (const path of reached) for (const other of references.get(path) ?? []) reached.add(other);
  return closure.filter(({ path }) => reached.has(path));
}

const closures = Array.from({ length: 200 }, (_, seed) => randomClosure(seed + 1));
const root = storePath("n0");
const data = popularity({ n5: 300, n9: 7, n13: 3 });

describe("in 200 seeded closures", () => {
  test("every path is in a bundle at every level, and none is in one twice", () => {
    for (const closure of closures) {
      for (const bundles of cutLevels(closure, lone(root), data, true)) {
        const bundled = new Set(bundles.flatMap(({ storePaths }) => storePaths));
        expect([...bundled].sort()).toStrictEqual(closure.map(({ path }) => path).sort());
        for (const { storePaths } of bundles) {
          expect(new Set(storePaths).size).toBe(storePaths.length);
        }
      }
    }
  });

  test("a bundle is the same in every closure that holds its leader", () => {
    for (const closure of closures) {
      const known = new Set(words(cutBundles(closure, root, data)));
      for (const { path } of closure) {
        const below = cutBundles(closureBelow(closure, path), path, data);
        const others = below.filter(
          ({ storePaths }) => storePaths.length > 0 && storePaths[0] !== path,
        );
        expect(words(others).filter((bundle) => !known.has(bundle))).toStrictEqual([]);
      }
    }
  });

  test("levels have fewer and fewer bundles, down to one", () => {
    for (const closure of closures) {
      const counts = cutLevels(closure, lone(root), data, true).map((bundles) => bundles.length);
      expect(counts).toHaveLength(MAX_LEVEL + 1);
      expect(counts).toStrictEqual(counts.toSorted((a, b) => b - a));
      expect(counts.at(-1)).toBe(1);
    }
  });

  test("what a level keeps apart, the level before has too", () => {
    for (const closure of closures) {
      const levels = cutLevels(closure, lone(root), data, true).map(words);
      for (const [level, bundles] of levels.entries()) {
        const before = new Set(levels[level - 1] ?? bundles);
        const made = bundles.filter((bundle) => !before.has(bundle));
        expect(made.length, `level ${level} makes ${made.length} bundles`).toBeLessThanOrEqual(1);
      }
    }
  });

  test("bundles do not depend on the order in which the closure is given", () => {
    for (const [seed, closure] of closures.entries()) {
      const next = seeded(seed + 1);
      const shuffled = closure
        .map(({ references, ...node }) => ({ ...node, references: [...references].reverse() }))
        .map((node) => ({ node, key: next(1000) }))
        .sort((a, b) => a.key - b.key)
        .map(({ node }) => node);
      expect(cutLevels(shuffled, lone(root), data, true)).toStrictEqual(
        cutLevels(closure, lone(root), data, true),
      );
    }
  });
});
