// Flake references: which are taken, which remote they are asked of, and what they are locked to.

import { assert, describe, expect, test } from "vitest";
import { parseFlakeReference } from "../../../origin/sources/flake-reference.ts";

const C = "0123456789abcdef0123456789abcdef01234567";

describe("parseFlakeReference", () => {
  interface Row {
    readonly text: string;
    readonly remoteUrl: string;
    readonly revision: string | null;
    /** Locked to C, found on refs/heads/x. */
    readonly locked: string;
  }
  const rows: readonly Row[] = [
    {
      text: "github:NixOS/nixpkgs",
      ...{ remoteUrl: "https://github.com/NixOS/nixpkgs", revision: null },
      locked: `github:NixOS/nixpkgs/${C}`,
    },
    {
      text: "github:NixOS/nixpkgs/nixos-unstable",
      ...{ remoteUrl: "https://github.com/NixOS/nixpkgs", revision: "nixos-unstable" },
      locked: `github:NixOS/nixpkgs/${C}`,
    },
    {
      text: "github:o/r/feature/x?dir=sub",
      ...{ remoteUrl: "https://github.com/o/r", revision: "feature/x" },
      locked: `github:o/r/${C}?dir=sub`,
    },
    {
      text: `github:o/r?rev=${C}&host=git.example`,
      ...{ remoteUrl: "https://git.example/o/r", revision: C },
      locked: `github:o/r/${C}?host=git.example`,
    },
    {
      text: "gitlab:group%2Fsub/r?ref=main",
      ...{ remoteUrl: "https://gitlab.com/group/sub/r", revision: "main" },
      locked: `gitlab:group%2Fsub/r/${C}`,
    },
    {
      text: "sourcehut:~o/r",
      ...{ remoteUrl: "https://git.sr.ht/~o/r", revision: null },
      locked: `sourcehut:~o/r/${C}`,
    },
    {
      text: "git+https://h.example/r.git?ref=main&dir=a/b",
      ...{ remoteUrl: "https://h.example/r.git", revision: "main" },
      locked: `git+https://h.example/r.git?ref=refs%2Fheads%2Fx&rev=${C}&dir=a%2Fb`,
    },
    {
      text: "git+ssh://git@h.example/r",
      ...{ remoteUrl: "ssh://git@h.example/r", revision: null },
      locked: `git+ssh://git@h.example/r?ref=refs%2Fheads%2Fx&rev=${C}`,
    },
    {
      text: "git+file:///srv/pkgs?submodules=1",
      ...{ remoteUrl: "file:///srv/pkgs", revision: null },
      locked: `git+file:///srv/pkgs?ref=refs%2Fheads%2Fx&rev=${C}&submodules=1`,
    },
    {
      text: "git://h.example/r",
      ...{ remoteUrl: "git://h.example/r", revision: null },
      locked: `git://h.example/r?ref=refs%2Fheads%2Fx&rev=${C}`,
    },
  ];
  test.for(rows)("takes $text", ({ text, remoteUrl, revision, locked }) => {
    const reference = parseFlakeReference(text);
    assert(reference.kind === "git", JSON.stringify(reference));
    expect(reference.remoteUrl).toBe(remoteUrl);
    expect(reference.revision).toBe(revision);
    expect(reference.lockedTo(C, "refs/heads/x")).toBe(locked);
  });

  test("looks for a commit that was named on the ref of the reference, else on the default branch", () => {
    for (const [text, ref] of [
      ["git+https://h.example/r", "HEAD"],
      ["git+https://h.example/r?ref=main", "main"],
    ] as const) {
      const reference = parseFlakeReference(text);
      assert(reference.kind === "git");
      expect(reference.lockedTo(C, null)).toBe(`git+https://h.example/r?ref=${ref}&rev=${C}`);
    }
  });

  test("takes a path, and names it where it really is", () => {
    const reference = parseFlakeReference("path:/srv/my%20pkgs");
    assert(reference.kind === "path");
    expect(reference.path).toBe("/srv/my pkgs");
    expect(reference.urlAt("/srv/a?b #c")).toBe("path:/srv/a%3Fb%20%23c");
  });

  test.for([
    "https://h.example/set.tar.gz",
    "https://h.example/set.zip?x=y",
    "tarball+https://h.example/set",
  ])("takes the archive %s", (url) => {
    expect(parseFlakeReference(url)).toStrictEqual({ kind: "archive", url });
  });

  for (const [text, why] of [
    ["nixpkgs", /github:owner\/repo/],
    ["flake:nixpkgs", /github:owner\/repo/],
    ["hg+https://h.example/r", /github:owner\/repo/],
    ["https://h.example/r.git", /github:owner\/repo/],
    ["constructor:o/r", /github:owner\/repo/],
    ["file+file:///x", /github:owner\/repo/],
    ["git+ext::sh -c x", /no URL/],
    ["git+https:h.example/r", /github:owner\/repo/],
    ["--impure", /github:owner\/repo/],
    [".", /github:owner\/repo/],
    ["/srv/pkgs", /write path:\/srv\/pkgs or git\+file:\/\/\/srv\/pkgs/],
    ["path:./x", /absolute path/],
    ["github:o", /github:owner\/repo/],
    ["github:o/r/main?ref=other", /more than one revision/],
    [`git+https://h.example/r?rev=${C.slice(1)}`, /40 digits/],
    ["github:o/r#hello", /without the #/],
    ["github:o/r main", /no URL/],
    [`github:o/${"r".repeat(2000)}`, /no URL/],
    ["", /no URL/],
  ] as const) {
    test(`refuses ${text.slice(0, 40) || "nothing"}`, () => {
      const reference = parseFlakeReference(text);
      assert(reference.kind === "invalid", JSON.stringify(reference));
      expect(reference.why).toMatch(why);
    });
  }
});
