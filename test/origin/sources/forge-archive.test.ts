// Which repositories have archives of their revisions, and where.

import { describe, expect, test } from "vitest";
import { forgeArchive } from "../../../origin/sources/forge-archive.ts";
import { readProgress } from "../../../origin/sources/shallow-clone.ts";

const C = "0123456789abcdef0123456789abcdef01234567";

describe("forgeArchive", () => {
  for (const [url, archive] of [
    ["https://github.com/o/r", `https://github.com/o/r/archive/${C}.tar.gz`],
    ["https://github.com/o/r.git/", `https://github.com/o/r/archive/${C}.tar.gz`],
    ["https://gitlab.com/g/sub/r.git", `https://gitlab.com/g/sub/r/-/archive/${C}/archive.tar.gz`],
    ["https://git.sr.ht/~o/r", `https://git.sr.ht/~o/r/archive/${C}.tar.gz`],
    ["https://user:token@github.com/o/r", undefined],
    ["https://github.com:8443/o/r", undefined],
    ["https://github.com/o", undefined],
    ["https://github.com/o/r?x", undefined],
    ["http://github.com/o/r", undefined],
    ["ssh://git@github.com/o/r", undefined],
    ["git@github.com:o/r", undefined],
    ["https://h.example/o/r", undefined],
    ["/srv/r", undefined],
  ] as const) {
    test(`of ${url} is ${archive === undefined ? "none" : "there"}`, () => {
      expect(forgeArchive(url, C)).toBe(archive);
    });
  }
});

describe("what git says of its progress", () => {
  test.for([
    [
      "Receiving objects:  25% (10/40), 1.00 MiB | 512.00 KiB/s",
      { doneBytes: 1_048_576, expectedBytes: 4_194_304 },
    ],
    ["Receiving objects:   0% (1/400), 100 bytes | 1 KiB/s", { doneBytes: 100, expectedBytes: 0 }],
    ["Receiving objects:  50% (2/4)", undefined],
    ["remote: Counting objects: 100% (4/4), done.", undefined],
  ] as const)("is read of %s", ([line, transfers]) =>
    expect(readProgress(line)).toStrictEqual(transfers),
  );
});
