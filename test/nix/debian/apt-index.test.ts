// The apt index as the generator reads it: stanzas, dependency fields, versions, origins.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { AptIndexAbsent, debianLists, readAptIndex } from "../../../nix/debian/apt-index.ts";
import { parseDependencies } from "../../../nix/debian/dependencies.ts";
import { sourcesList } from "../../../nix/debian/foreign-index.ts";
import { compareVersions, storeName, storeVersion } from "../../../nix/debian/version.ts";
import { BASE_URL, index, stanza } from "./fixture.ts";

describe("parseDependencies", () => {
  const rows: readonly (readonly [string, readonly (readonly string[])[]])[] = [
    ["", []],
    ["libc6 (>= 2.34), zlib1g (>= 1:1.2.0)", [["libc6"], ["zlib1g"]]],
    ["debconf (>= 0.5) | debconf-2.0", [["debconf", "debconf-2.0"]]],
    ["perl:any, python3:any (<< 3.12)", [["perl"], ["python3"]]],
    ["a [amd64 i386] | b <!nocheck>, libstdc++6", [["a", "b"], ["libstdc++6"]]],
  ];
  test.for(rows)("reads %j", ([text, expected]) => {
    expect(parseDependencies(text)).toStrictEqual(expected);
  });
});

describe("compareVersions", () => {
  const ascending = [
    ["1.0~rc1-1", "1.0-1"],
    ["1.9-1", "1.10-1"],
    ["2.0-1", "1:1.0-1"],
    ["1.0-1", "1.0-1+deb12u1"],
    ["1.0-1+deb12u9", "1.0-1+deb12u10"],
    ["1.0a-1", "1.0+1-1"],
    ["1.0", "1.0-1"],
    ["9.2p1-2+deb12u2~1", "9.2p1-2+deb12u2"],
  ] as const;
  test.for(ascending)("puts %s before %s", ([older, newer]) => {
    expect(compareVersions(older, newer)).toBeLessThan(0);
    expect(compareVersions(newer, older)).toBeGreaterThan(0);
  });
  test("finds equal versions equal", () => expect(compareVersions("1:2-3", "1:2-3")).toBe(0));
});

describe("storeVersion", () => {
  test("drops the epoch and what store names refuse", () => {
    expect(storeVersion("5:7.0.15-1~deb12u10")).toBe("7.0.15-1-deb12u10");
  });
  test("keeps a version without revision", () => expect(storeVersion("6.4")).toBe("6.4"));
  test("keeps `+` in names", () => expect(storeName("libstdc++6")).toBe("libstdc++6"));
});

describe("indexOf", () => {
  test("gives the fields of a package and its address", () => {
    const found = index(
      stanza("a", { "Pre-Depends": "b", Depends: "c | d", Homepage: "https://a.invalid/" }),
    ).package("a");
    expect(found?.dependencies).toStrictEqual([["b"], ["c", "d"]]);
    expect(found?.url).toBe(`${BASE_URL}pool/main/a_1.0-1_amd64.deb`);
    expect(found?.installedBytes).toBe(10 * 1024);
    expect(found?.homepage).toBe("https://a.invalid/");
  });
  test("takes the first line of a description", () => {
    const text = stanza("a", { Description: "short\n long text\n .\n more" });
    expect(index(text).package("a")?.description).toBe("short");
  });
  test("takes the highest of several versions, wherever it stands", () => {
    const versions = ["1.9-1", "1.10-1", "1.10~rc1-1"].map((Version) => stanza("a", { Version }));
    expect(index(...versions).package("a")?.version).toBe("1.10-1");
  });
  test("lists the providers of a virtual name", () => {
    const made = index(stanza("z", { Provides: "v (= 1), w" }), stanza("a", { Provides: "v" }));
    expect(made.providers("v")).toStrictEqual(["a", "z"]);
    expect(made.package("v")).toBeUndefined();
  });
});

describe("debianLists", () => {
  test("ignores other origins and other architectures", () => {
    const targets = [
      "Debian|amd64|http://archive.invalid/|/lists/a",
      "Somebody Else|amd64|http://other.invalid/|/lists/b",
      "Debian|i386|http://archive.invalid/|/lists/c",
      "",
    ].join("\n");
    expect(debianLists(targets, "amd64")).toStrictEqual([
      { baseUrl: "http://archive.invalid/", file: "/lists/a" },
    ]);
  });
});

describe("readAptIndex", () => {
  test("says to run apt-get update when there is no index", async () => {
    const empty = await mkdtemp(join(tmpdir(), "nixport-no-lists-"));
    try {
      await expect(readAptIndex("amd64", ["-o", `Dir::State::lists=${empty}`])).rejects.toSatisfy(
        (error) => {
          return error instanceof AptIndexAbsent && error.message.includes("apt-get update");
        },
      );
    } finally {
      await rm(empty, { recursive: true });
    }
  });
});

describe("sourcesList", () => {
  const archives = [{ url: "http://mirror.invalid/debian/", suite: "bookworm", component: "main" }];
  test("asks the same archives for another architecture's packages and for nothing else", () => {
    expect(sourcesList("arm64", archives, "/keys.gpg")).toBe(
      "deb [arch=arm64 target=Packages lang=none signed-by=/keys.gpg] http://mirror.invalid/debian/ bookworm main\n",
    );
  });
  test("leaves the choice of keys to apt where Debian's own are not there", () => {
    expect(sourcesList("arm64", archives, undefined)).not.toMatch(/signed-by/);
  });
});
