import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { cutBundles, LARGE_PATH_SIZE_BYTES } from "../../../origin/layers/bundles.ts";
import { type ClosureGraph, immediateDominators } from "../../../origin/layers/dominators.ts";
import {
  NO_POPULARITY,
  type Popularity,
  parsePopularity,
} from "../../../origin/layers/popularity.ts";
import { type StorePath, storePathName } from "../../../registry/store-path.ts";
import { storePath } from "./fixture.ts";

const SMALL = 1000;

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

function popularity(counts: Record<string, number>, threshold = 100): Popularity {
  const result = parsePopularity(JSON.stringify(counts), threshold);
  assert.ok(result.kind === "popularity");
  return result.popularity;
}

/** The bundles as words, in no order that matters here. */
function cut(
  closure: ClosureGraph,
  root: string,
  data: Popularity = NO_POPULARITY,
): readonly string[] {
  return cutBundles(closure, storePath(root), data)
    .map(({ storePaths }) => storePaths.map(storePathName).join(" "))
    .sort();
}

const LARGE = LARGE_PATH_SIZE_BYTES;

describe("cutBundles", () => {
  test("keeps a closure of small unpopular paths together", () => {
    assert.deepEqual(cut(graph({ root: "a b", a: "c", b: "c" }), "root"), ["root a b c"]);
  });

  test("gives a path of a million bytes a bundle of its own, and one byte less none", () => {
    const references = { root: "big" };
    assert.deepEqual(cut(graph(references, { big: LARGE }), "root"), ["big", "root"]);
    assert.deepEqual(cut(graph(references, { big: LARGE - 1 }), "root"), ["root big"]);
  });

  test("gives a path of the threshold's popularity a bundle of its own, whatever its version", () => {
    const closure = graph({ root: "glibc-2.40" });
    assert.deepEqual(cut(closure, "root", popularity({ "glibc-2.31": 100 })), [
      "glibc-2.40",
      "root",
    ]);
    assert.deepEqual(cut(closure, "root", popularity({ "glibc-2.31": 99 })), ["root glibc-2.40"]);
    assert.deepEqual(cut(closure, "root", popularity({ "glibc-2.31": 4 }, 4)), [
      "glibc-2.40",
      "root",
    ]);
  });

  test("lets a small path ride with the large one that alone needs it", () => {
    const closure = graph({ root: "big", big: "private deep", private: "deep" }, { big: LARGE });
    assert.deepEqual(cut(closure, "root"), ["big deep private", "root"]);
  });

  test("lets the shared leaf of a diamond ride with what dominates it, not with either side", () => {
    const closure = graph({ root: "l r", l: "leaf", r: "leaf" }, { l: LARGE, r: LARGE });
    assert.deepEqual(cut(closure, "root"), ["l", "r", "root leaf"]);
    const below = graph({ root: "top", top: "l r", l: "leaf", r: "leaf" }, { top: LARGE });
    assert.deepEqual(cut(below, "root"), ["root", "top l leaf r"]);
  });

  test("does not let a path ride with one that can be gone around", () => {
    const closure = graph({ root: "big way", big: "leaf", way: "leaf" }, { big: LARGE });
    assert.deepEqual(cut(closure, "root"), ["big", "root leaf way"]);
  });

  test("looks past small dominators for the nearest leader", () => {
    const closure = graph({ root: "big", big: "a", a: "b", b: "c", c: "d" }, { big: LARGE });
    assert.deepEqual(cut(closure, "root"), ["big a b c d", "root"]);
  });

  test("ignores references of a path to itself", () => {
    const closure = graph({ root: "root big", big: "big a", a: "a" }, { big: LARGE });
    assert.deepEqual(cut(closure, "root"), ["big a", "root"]);
  });

  test("makes one bundle of a package without references", () => {
    assert.deepEqual(cut(graph({ root: "" }), "root"), ["root"]);
  });

  test("follows a chain of 10,000 paths", () => {
    const references = Object.fromEntries(
      Array.from({ length: 10_000 }, (_, at) => [`p${at}`, at === 9_999 ? "" : `p${at + 1}`]),
    );
    const bundles = cut(graph(references, { p5000: LARGE }), "p0");
    assert.deepEqual(
      bundles.map((bundle) => bundle.split(" ").length),
      [5000, 5000],
    );
  });

  test("puts the most popular bundles first, and equals in the order of their paths", () => {
    const closure = graph({ root: "z a m nss-cacert-3 n" }, { z: LARGE, a: LARGE, m: LARGE });
    const bundles = cutBundles(closure, storePath("root"), popularity({ m: 500, n: 7 }));
    assert.deepEqual(
      bundles.map(({ storePaths, popularity }) => [
        storePaths.map(storePathName).join(" "),
        popularity,
      ]),
      [
        ["nss-cacert-3", 1_000_000_000],
        ["m", 500],
        ["root n", 7],
        ["a", 1],
        ["z", 1],
      ],
    );
  });

  test("orders equals by their paths, not by the way to them", () => {
    const closure = graph({ root: "m z", m: "a" }, { a: LARGE, m: LARGE, z: LARGE, root: LARGE });
    const bundles = cutBundles(closure, storePath("root"), NO_POPULARITY);
    const leaders = bundles.flatMap(({ storePaths }) => storePaths.map(storePathName));
    assert.deepEqual(leaders, ["a", "m", "root", "z"]);
  });

  test("says which path a closure lacks, which it has too many, and which go in a circle", () => {
    const root = storePath("root");
    const lacking = graph({ root: "a" }).slice(0, 1);
    assert.throws(() => cutBundles(lacking, root, NO_POPULARITY), /0-a is missing/);
    const beside = [...graph({ root: "a" }), ...graph({ other: "" })];
    assert.throws(() => cutBundles(beside, root, NO_POPULARITY), /does not refer to/);
    assert.throws(
      () => cutBundles(graph({ root: "a", a: "b", b: "a" }), root, NO_POPULARITY),
      /refer to each other/,
    );
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
    narSizeBytes: next(4) === 0 ? LARGE + next(1000) : next(1000),
    references: [...(references[at] ?? [])],
  }));
}

const closures = Array.from({ length: 200 }, (_, seed) => randomClosure(seed + 1));
const root = storePath("n0");
const data = popularity({ n5: 300, n9: 100, n13: 99 });

describe("in 200 seeded closures", () => {
  test("every path is in exactly one bundle of its package", () => {
    for (const closure of closures) {
      const bundled = cutBundles(closure, root, data).flatMap(({ storePaths }) => storePaths);
      assert.deepEqual([...bundled].sort(), closure.map(({ path }) => path).sort());
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
      assert.deepEqual(cutBundles(shuffled, root, data), cutBundles(closure, root, data));
    }
  });

  test("a path rides with a leader without which nothing leads to it", () => {
    for (const closure of closures) {
      const references = new Map(closure.map((node) => [node.path, node.references]));
      for (const { storePaths } of cutBundles(closure, root, data)) {
        const [leader, ...others] = storePaths;
        if (leader === undefined || leader === root) continue;
        const reached = reachable(references, root, leader);
        assert.ok(others.every((path) => !reached.has(path)));
      }
    }
  });

  test("immediate dominators are those that leaving out each path in turn finds", () => {
    for (const closure of closures.slice(0, 60)) {
      const references = new Map(closure.map((node) => [node.path, node.references]));
      const dominators = immediateDominators(closure, root);
      const without = new Map(closure.map(({ path }) => [path, reachable(references, root, path)]));
      for (const { path } of closure) {
        if (path === root) continue;
        const strict = closure.filter(
          (other) => other.path !== path && !without.get(other.path)?.has(path),
        );
        const walked: StorePath[] = [];
        for (let at = dominators.get(path); at !== undefined; at = dominators.get(at))
          walked.push(at);
        assert.deepEqual([...walked].sort(), strict.map((other) => other.path).sort());
      }
    }
  });
});

describe("the bundles of a package", () => {
  test("are the same whatever other packages an image has", () => {
    // Only the package's own closure can be given; what shares its paths cannot matter.
    const shared = { lib: "leaf", leaf: "" };
    const sizes = { lib: LARGE };
    const alone = cut(graph({ git: "lib", ...shared }, sizes), "git");
    const other = cut(graph({ htop: "lib leaf", ...shared }, sizes), "htop");
    assert.deepEqual(alone, ["git", "lib leaf"]);
    assert.deepEqual(other, ["htop leaf", "lib"]);
  });
});

function reachable(
  references: ReadonlyMap<StorePath, readonly StorePath[]>,
  from: StorePath,
  without: StorePath,
): ReadonlySet<StorePath> {
  const found = new Set<StorePath>();
  const left = from === without ? [] : [from];
  for (let path = left.pop(); path !== undefined; path = left.pop()) {
    if (found.has(path)) continue;
    found.add(path);
    left.push(...(references.get(path) ?? []).filter((other) => other !== without));
  }
  return found;
}
