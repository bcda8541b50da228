// What Nix finds of itself in an image: read by SQLite, and by the machine's own Nix.

import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { assert, describe, expect, onTestFinished, test } from "vitest";
import type { ValidClosure, ValidPath } from "../../../origin/layers/closure.ts";
import { type ArchiveEntry, archiveEntries } from "../../../origin/layers/entries.ts";
import { databaseId, nixDatabase } from "../../../origin/layers/nix-database.ts";
import { queryClosure } from "../../../origin/nix/closure.ts";
import { lookUp } from "../../../origin/nix/look-up.ts";
import { realise } from "../../../origin/nix/realise.ts";
import { type StorePath, storePathName } from "../../../registry/naming/store-path.ts";
import { digestOfText, storePathOf } from "../../registry/fixture.ts";
import { derivation, NO_CACHES, packageSet, SYSTEM, tempDir, testNix } from "../nix/fixture.ts";
import { unpackWithGnuTar } from "./fixture.ts";

const node = (name: string, references: readonly string[], refersToItself = false): ValidPath => ({
  path: storePathOf(name),
  narHash: digestOfText(name),
  narSizeBytes: name.length,
  references: references.map(storePathOf),
  refersToItself,
});
const CLOSURE = [
  node("glibc-2.36", [], true),
  node("git-2.39", ["glibc-2.36"]),
  node("cacert", []),
];

const DATABASE = "nix/var/nix/db/db.sqlite";

function databaseIn(entries: readonly ArchiveEntry[]): Uint8Array {
  const entry = entries.find(({ path }) => path === DATABASE);
  assert(entry?.kind === "file");
  return entry.content;
}

function rows(bytes: Uint8Array, statement: string): readonly unknown[] {
  using database = new DatabaseSync(":memory:");
  database.deserialize(bytes);
  return database
    .prepare(statement)
    .all()
    .map((row) => Object.values(row));
}

describe("the database of an image", () => {
  const bytes = databaseIn(nixDatabase(CLOSURE, []));

  test("has every path with its hash and size, and nothing of any machine", () => {
    const facts = "path, hash, registrationTime, deriver, narSize, ultimate, sigs, ca";
    const expected = CLOSURE.map(({ path, narHash, narSizeBytes }) => [
      ...[path, narHash, 1, null, narSizeBytes, null, null, null],
    ]);
    expect(rows(bytes, `SELECT ${facts} FROM ValidPaths`).toSorted()).toStrictEqual(
      expected.sort(),
    );
  });

  test("has the references, those of a path to itself too", () => {
    const references = rows(
      bytes,
      `SELECT own.path AS own, other.path AS other FROM Refs
       JOIN ValidPaths AS own ON own.id = referrer JOIN ValidPaths AS other ON other.id = reference`,
    ) as (readonly StorePath[])[];
    expect(references.map((pair) => pair.map(storePathName)).sort()).toStrictEqual([
      ["git-2.39", "glibc-2.36"],
      ["glibc-2.36", "glibc-2.36"],
    ]);
  });

  test.for([3, 3000])(
    "is whole with %i paths, for a reader who may not write beside it",
    (count) => {
      const names = Array.from(
        { length: count },
        (_, place) => `${"long-name-".repeat(place % 20)}${place}`,
      );
      const closure = names.map((name, place) =>
        node(name, names.slice(Math.max(0, place - 9), place), place % 3 === 0),
      );
      const large = databaseIn(nixDatabase(closure, []));
      expect(rows(large, "PRAGMA integrity_check")).toStrictEqual([["ok"]]);
      expect(rows(large, "PRAGMA foreign_key_check")).toStrictEqual([]);
      expect(rows(large, "SELECT count(*) FROM ValidPaths")).toStrictEqual([[count]]);
      // Neither a write-ahead log nor what would be in one.
      expect([...large.subarray(18, 20)]).toStrictEqual([1, 1]);
    },
  );

  test("is the same whatever the order of the paths, and whichever SQLite wrote it", () => {
    expect(databaseIn(nixDatabase(CLOSURE.toReversed(), []))).toStrictEqual(bytes);
    const header = Buffer.from(bytes);
    expect([24, 92, 96].map((at) => header.readUInt32BE(at))).toStrictEqual([1, 1, 0]);
  });

  test("is not made of a path whose hash nobody can read", () => {
    const unknown = CLOSURE.map((each) => ({ ...each, narHash: null }));
    expect(() => nixDatabase(unknown, [])).toThrow(/of the hash of \/nix\/store\//);
  });
});

test("records are made anew when the bytes of databases change", () => {
  // By a Node whose SQLite writes others, or by a change of what Nix must find: then the one here is to
  // be replaced, and every origin makes its records anew.
  expect(databaseId()).toBe("b33b90952f6b");
});

describe("Nix, with an image's files below a root", { timeout: 60_000 }, () => {
  test("finds nothing wrong, and collects what no output needs", async () => {
    const { root, closure, top } = await plantRoot();
    const nix = (program: string, ...args: readonly string[]) =>
      execFileSync(program, args, {
        encoding: "utf8",
        env: { ...process.env, NIX_REMOTE: `local?root=${root}`, NIX_CONFIG: "substituters =" },
        stdio: ["ignore", "pipe", "pipe"],
      });
    const requisites = nix("nix-store", "--query", "--requisites", top).trim().split("\n");
    expect(requisites.sort()).toStrictEqual(closure.map(({ path }) => path).sort());
    nix("nix-store", "--verify", "--check-contents");
    const added = join(root, "litter");
    writeFileSync(added, "litter");
    const litter = nix("nix-store", "--add", added).trim();
    expect(nix("nix-store", "--gc", "--print-dead").trim()).toBe(litter);
    expect(nix("nix-collect-garbage")).toMatch(/^1 store paths deleted/m);
    nix("nix-store", "--verify", "--check-contents");
    expect(nix("nix-store", "--query", "--roots", top)).toContain(`/gcroots/nixport/`);
  });
});

/** A root with the database of two packages, and their files. */
async function plantRoot() {
  const nix = await testNix();
  const source = await packageSet(
    onTestFinished,
    nix,
    `let base = ${derivation("base", "echo base > $out")};
    in { top = ${derivation("top", "mkdir $out; echo $base $out > $out/file", "inherit base;")}; }`,
  );
  const [found] = await lookUp(nix, source, SYSTEM, ["top"], AbortSignal.any([]));
  assert(found?.lookup.kind === "found");
  const realised = await realise(nix, [found.lookup], {
    rootsDir: await tempDir(onTestFinished),
    policy: NO_CACHES,
    builderTimeoutSeconds: 60,
    deadlineMs: 60_000,
    signal: AbortSignal.any([]),
  });
  assert(realised.kind === "realised");
  onTestFinished(realised.release);
  const outputs = found.lookup.outputs.map(({ path }) => path);
  const closure: ValidClosure = await queryClosure(nix, outputs);
  const root = unpackWithGnuTar(archiveEntries(nixDatabase(closure, outputs)));
  mkdirSync(join(root, "nix/store"), { recursive: true });
  for (const { path } of closure) {
    cpSync(path, join(root, path), { recursive: true, preserveTimestamps: true });
  }
  const [top = expect.unreachable()] = outputs;
  return { root, closure, top };
}
