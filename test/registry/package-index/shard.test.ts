// What an index says of packages, as it is stored: nothing is lost, and little is spent on it.

import { gzipSync } from "node:zlib";
import { assert, describe, expect, test } from "vitest";
import type { FoundPackage, Lookup } from "../../../registry/image/lookup.ts";
import type { StorePath } from "../../../registry/naming/store-path.ts";
import { cutShards } from "../../../registry/package-index/cut-shards.ts";
import { foldAttribute } from "../../../registry/package-index/fold.ts";
import {
  encodeShard,
  entriesSpelled,
  type IndexEntry,
  parseShard,
  readShard,
  sortEntries,
} from "../../../registry/package-index/shard.ts";
import { createRandom } from "../../hostile-text.ts";
import { madeUpSet } from "./made-up-set.ts";

const H = "0123456789abcdfghijklmnpqrsvwxyz";
const G = "zyxwvsrqpnmlkjihgfdcba9876543210";
const htop: FoundPackage = {
  kind: "found",
  attribute: "htop",
  derivation: `/nix/store/${H}-htop-3.4.1.drv`,
  outputs: [{ name: "out", path: `/nix/store/${G}-htop-3.4.1` as StorePath }],
  name: "htop",
  version: "3.4.1",
  description: "Interactive process viewer",
  licenses: ["GPL-2.0-only"],
  mainProgram: "htop",
  homepage: "https://htop.dev/",
};
const outputs = (...all: readonly (readonly [name: string, base: string])[]) =>
  all.map(([name, base]) => ({ name, path: `/nix/store/${base}` as StorePath }));

const SAID: readonly (readonly [what: string, said: IndexEntry["said"], attribute?: string])[] = [
  ["a package of one output", htop],
  ["one without a version", { ...htop, version: null, derivation: `/nix/store/${H}-htop.drv` }],
  ["one whose paths have a prefix", { ...htop, derivation: `/nix/store/${H}-py-htop-3.4.1.drv` }],
  ["one whose paths have another name", { ...htop, derivation: `/nix/store/${H}-top.drv` }],
  [
    "several outputs",
    { ...htop, outputs: outputs(["bin", `${G}-htop-3.4.1-bin`], ["out", `${H}-htop-3.4.1`]) },
  ],
  ["an output of its own name", { ...htop, outputs: outputs(["out", `${G}-else`]) }],
  [
    "one output that is not the default",
    { ...htop, outputs: outputs(["bin", `${G}-htop-3.4.1-bin`]) },
  ],
  ["one without a derivation", { ...htop, derivation: `/nix/store/${G}-htop-3.4.1` }],
  ["a derivation that is no store path", { ...htop, derivation: "nowhere.drv" }],
  [
    "no description, licence, program or homepage",
    { ...htop, description: null, licenses: [], mainProgram: null, homepage: null },
  ],
  ["another program", { ...htop, mainProgram: "top" }],
  ["a name in small letters", { ...htop, attribute: "HTop" }, "HTop"],
  ["a package that is known by another attribute", htop, "htopAlias"],
  ["an attribute with signs", { ...htop, attribute: "a--2b.b--2ec", name: "b.c" }, "a--2b.b--2ec"],
  ["texts with quotes and other writing", { ...htop, description: '"<b>"\n\\ ‮ 漢字' }],
  ["unfree", { kind: "unfree", licenses: ["unfree"] }],
  ["broken", { kind: "broken", dependency: "x-1" }],
  ["insecure", { kind: "insecure", vulnerabilities: ["CVE"], name: null }],
  ["unsupported", { kind: "unsupported", system: "x86_64-linux" }],
  ["an evaluation that failed", { kind: "evaluation-failed", message: "error: nope" }],
  ["no package", { kind: "not-a-package", what: "function", near: [] }],
  ["unexplained", { kind: "unexplained" }],
];

describe("a shard", () => {
  test.for(SAID)("gives back %s", ([, said, attribute = "htop"]) => {
    const entries = [{ attribute, said }];
    expect(parseShard(encodeShard(entries))).toStrictEqual(entries);
  });

  test("gives back all of these beside each other, and other names", () => {
    const entries = sortEntries(
      SAID.map(([, said], place) => ({
        attribute: `p${place}`,
        said,
        ...(place % 2 === 0 && { also: `q${place}` }),
      })),
    );
    expect(parseShard(encodeShard(entries))).toStrictEqual(entries);
  });

  test("gives back 3,000 packages of a large set", () => {
    const entries = sortEntries(madeUpSet(3000).entries);
    expect(parseShard(encodeShard(entries))).toStrictEqual(entries);
  });

  test("has all that is spelled alike in one place", () => {
    const names = ["foo", "FOO", "_7zz", "7zz", "7ZZ", "fooo", "fo"];
    const shard = readShard(
      JSON.parse(new TextDecoder().decode(encodeShard(sortEntries(names.map(entryNamed))))),
    );
    assert(shard !== undefined);
    const spelled = (fold: string) =>
      entriesSpelled(shard, fold)?.map(({ attribute }) => attribute);
    expect(spelled("foo")).toStrictEqual(["FOO", "foo"]);
    expect(spelled("7zz")).toStrictEqual(["7ZZ", "7zz", "_7zz"]);
    expect(spelled("fooooo")).toStrictEqual([]);
  });

  const whole = JSON.parse(
    new TextDecoder().decode(encodeShard([{ attribute: "htop", said: htop }])),
  );
  const HOSTILE: readonly (readonly [what: string, json: unknown])[] = [
    ["nothing", undefined],
    ["another format", { ...whole, format: 2 }],
    ["a column that is too short", { ...whole, versions: [] }],
    ["a column that is too long", { ...whole, names: [0, 0] }],
    ["hashes that are too few", { ...whole, hashes: H }],
    ["hashes that are none", { ...whole, hashes: "e".repeat(64) }],
    ["a path that is none", { ...whole, stems: [["../../etc"]] }],
    ["a licence that is not listed", { ...whole, licenses: [3] }],
    ["a lookup that is none", { ...whole, others: [[0, { kind: "gone" }]] }],
    ["a place that is none", { ...whole, others: [[7, { kind: "broken" }]] }],
    ["one attribute twice", { ...whole, ...twice(whole, ["htop", "htop"]) }],
    ["attributes out of order", { ...whole, ...twice(whole, ["htop", "git"]) }],
    ["a name without end", { ...whole, names: ["n".repeat(5000)] }],
    ["no outputs", { ...whole, outputs: [[]] }],
  ];
  test.for(HOSTILE)("is none with %s", ([, json]) => {
    expect(parseShard(new TextEncoder().encode(JSON.stringify(json) ?? ""))).toBeUndefined();
  });

  test("is none for any bytes that differ from what was written, or says as much of its own", () => {
    const bytes = encodeShard(sortEntries(madeUpSet(40).entries));
    const random = createRandom(3);
    for (let tries = 0; tries < 200; tries += 1) {
      const damaged = Uint8Array.from(bytes);
      damaged[random.below(bytes.length)] = random.below(256);
      const entries = parseShard(damaged);
      if (entries !== undefined) expect(parseShard(encodeShard(entries))).toStrictEqual(entries);
    }
  });
});

describe("shards of a large set", () => {
  const set = madeUpSet(20_000);
  const cut = cutShards(sortEntries(set.entries));
  const digests = (shards: readonly (readonly IndexEntry[])[]) =>
    new Set(shards.map((shard) => JSON.stringify(shard)));

  test("are at most 400, and take no more than 120 bytes for each name, compressed", () => {
    expect(cut.length).toBeGreaterThan(200);
    expect(cut.length).toBeLessThan(400);
    const sizes = cut.map((shard) => gzipSync(encodeShard(shard)).length);
    const bytesPerName = sizes.reduce((sum, size) => sum + size, 0) / set.entries.length;
    console.info(`${cut.length} shards, ${bytesPerName.toFixed(1)} bytes for each name`);
    expect(bytesPerName).toBeLessThan(120);
  });

  test("are at most 400 of 120,000 names", () => {
    const names = Array.from({ length: 120_000 }, (_, place) =>
      entryNamed(`n${(place * 7919) % 1_000_003}`),
    );
    expect(cutShards(sortEntries(names)).length).toBeLessThan(400);
  });

  test("stay as they are where nothing was put in or taken out", () => {
    const before = digests(cut);
    const without = sortEntries(set.entries).filter((_, place) => place !== 7000);
    const after = digests(cutShards(sortEntries([...without, entryNamed("anything")])));
    expect([...after].filter((shard) => !before.has(shard)).length).toBeLessThan(6);
  });

  test("have all spellings of one name together", () => {
    for (const [place, shard] of cut.entries()) {
      const [first] = shard;
      const last = cut[place - 1]?.at(-1);
      if (first === undefined || last === undefined) continue;
      expect(foldAttribute(last.attribute) < foldAttribute(first.attribute)).toBe(true);
    }
    const alike = Array.from({ length: 900 }, (_, place) => entryNamed(spelling(place)));
    expect(cutShards(sortEntries(alike)).length).toBe(1);
  });
});

function entryNamed(attribute: string): IndexEntry {
  const said: Lookup = { kind: "broken" };
  return { attribute, said };
}

/** Of one word, in another mixture of cases for each number. */
function spelling(number: number): string {
  return [..."spellings-of"]
    .map((letter, bit) => ((number >> bit) & 1 ? letter.toUpperCase() : letter))
    .join("");
}

function twice(whole: { readonly hashes: string }, attributes: readonly string[]) {
  const doubled = Object.entries(whole).map(([field, value]) => {
    const isColumn = Array.isArray(value) && value.length === 1 && field !== "licenseLists";
    return [field, isColumn ? [value[0], value[0]] : value];
  });
  return {
    ...Object.fromEntries(doubled),
    attributes,
    hashes: `${whole.hashes}${whole.hashes}`,
  };
}
