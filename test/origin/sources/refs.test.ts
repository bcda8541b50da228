// Names of images' tags to names of git's refs.

import { describe, expect, test } from "vitest";
import { escapeRef, matchRef, nearTags, type RemoteRefs } from "../../../origin/sources/refs.ts";

function refs(branches: readonly string[], tags: readonly string[] = []): RemoteRefs {
  const commits = (names: readonly string[], kind: string) =>
    new Map(names.map((name) => [name, `commit of ${kind} ${name}`]));
  return { branches: commits(branches, "branch"), tags: commits(tags, "tag") };
}

describe("matchRef", () => {
  const rows: readonly (readonly [string, RemoteRefs, string, string])[] = [
    ["a branch", refs(["main"]), "main", "refs/heads/main"],
    ["a git tag", refs(["main"], ["v1"]), "v1", "refs/tags/v1"],
    ["the branch of a name that both have", refs(["v1"], ["v1"]), "v1", "refs/heads/v1"],
    ["a branch with a slash", refs(["a/b"]), "a--b", "refs/heads/a/b"],
    ["a branch with slashes and hyphens", refs(["a/b--c/d"]), "a--b--c--d", "refs/heads/a/b--c/d"],
    ["a git tag with a slash", refs([], ["a/b"]), "a--b", "refs/tags/a/b"],
    ["the literal name, not the escaped one", refs(["a/b", "a--b"]), "a--b", "refs/heads/a--b"],
    ["a literal git tag, not an escaped branch", refs(["a/b"], ["a--b"]), "a--b", "refs/tags/a--b"],
    [
      "the branch of an escaped name that both have",
      refs(["a/b"], ["a/b"]),
      "a--b",
      "refs/heads/a/b",
    ],
    ["the slash itself, for an operator", refs(["a/b"]), "a/b", "refs/heads/a/b"],
  ];
  test.for(rows)("takes %s", ([, given, tag, ref]) => {
    const match = matchRef(given, tag);
    expect(match.kind === "ref" && match.ref).toBe(ref);
  });

  test("tells which names are escaped alike", () => {
    const match = matchRef(refs(["a/b/c", "a--b/c"], ["a/b--c"]), "a--b--c");
    expect(match).toStrictEqual({ kind: "ambiguous", names: ["a/b/c", "a--b/c", "a/b--c"] });
  });

  test.for(["mai", "a", "b", "--", "a-b", "refs--heads--main", "heads--main"])(
    "finds nothing for %s",
    (tag) => {
      expect(matchRef(refs(["main", "a/b"]), tag)).toStrictEqual({ kind: "absent" });
    },
  );
});

describe("nearTags", () => {
  const everything = () => true;

  test("names what can be asked for, as it is asked for, the nearest first", () => {
    const given = refs(["release/1.0", "main", "a+b"], ["main", "v1"]);
    expect(nearTags(given, "release--1.1", everything).slice(0, 1)).toStrictEqual(["release--1.0"]);
    expect(nearTags(given, "qqq", everything)).toStrictEqual(["main", "release--1.0", "v1"]);
    expect(nearTags(given, "qqq", (name) => name === "v1")).toStrictEqual(["v1"]);
  });

  test("names a few only, however many there are", () => {
    const many = refs(Array.from({ length: 20_000 }, (_, index) => `branch-${index}`));
    expect(nearTags(many, "q", everything)).toHaveLength(5);
    expect(nearTags(many, "branch-20001", everything)).toHaveLength(5);
  });
});

test("escapeRef writes two hyphens for each slash", () => {
  expect(escapeRef("a/b//c")).toBe("a--b----c");
});
