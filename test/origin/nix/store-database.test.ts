import { spawnSync } from "node:child_process";
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, onTestFinished, test } from "vitest";
import { findStoreDatabase, readClosure } from "../../../origin/nix/store-database.ts";
import { parseStorePath, type StorePath } from "../../../registry/naming/store-path.ts";
import type { Ending } from "../fixture.ts";
import { tempDir } from "./fixture.ts";

const storePath = (digit: string, name: string) =>
  parseStorePath(`/nix/store/${digit.repeat(32)}-${name}`) as StorePath;
const TOP = storePath("1", "top");
const LEAF = storePath("2", "leaf");
const OTHER = storePath("3", "other");
const ABSENT = storePath("4", "absent");

describe("findStoreDatabase", () => {
  const usual = "/nix/var/nix/db/db.sqlite";
  const rows: readonly (readonly [Readonly<Record<string, string>>, string | undefined])[] = [
    [{}, usual],
    [{ NIX_REMOTE: "" }, usual],
    [{ NIX_REMOTE: "auto" }, usual],
    [{ NIX_REMOTE: "daemon" }, usual],
    [{ NIX_STATE_DIR: "/var/nix" }, "/var/nix/db/db.sqlite"],
    [{ NIX_REMOTE: "ssh://builder" }, undefined],
    [{ NIX_REMOTE: "/mnt/root" }, undefined],
    [{ NIX_STORE_DIR: "/gnu/store" }, undefined],
  ];
  for (const [env, expected] of rows) {
    test(`gives ${expected} for ${JSON.stringify(env)}`, () =>
      expect(findStoreDatabase(env)).toBe(expected));
  }
});

describe("readClosure", () => {
  test("gives what one and several roots reach, and no more", async () => {
    const { path } = await makeDatabase(onTestFinished);
    const leaf = { path: LEAF, narHash: "sha256:2", narSize: 20, references: [] };
    const top = { path: TOP, narHash: "sha256:1", narSize: 10, references: [TOP, LEAF] };
    expect(sorted(readClosure(path, [TOP]))).toStrictEqual([top, leaf]);
    expect(readClosure(path, [LEAF])).toStrictEqual([leaf]);
    expect(readClosure(path, [TOP, OTHER, LEAF])?.length).toBe(3);
  });

  test("sees what is committed, while it is in the log only, and nothing else", async () => {
    const { path, database } = await makeDatabase(onTestFinished);
    database.exec("PRAGMA wal_autocheckpoint = 0; BEGIN IMMEDIATE");
    database.exec(`UPDATE ValidPaths SET narSize = 21 WHERE path = '${LEAF}'`);
    expect(readClosure(path, [LEAF])?.[0]?.narSize).toBe(20);
    database.exec("COMMIT");
    expect(readClosure(path, [LEAF])?.[0]?.narSize).toBe(21);
  });

  test("leaves a database that a writer can go on with", async () => {
    const { path, database } = await makeDatabase(onTestFinished);
    readClosure(path, [TOP]);
    database.exec("DELETE FROM Refs; PRAGMA wal_checkpoint(TRUNCATE)");
    expect(readClosure(path, [TOP])?.length).toBe(1);
    database.close();
    expect(readClosure(path, [TOP])?.length).toBe(1);
  });

  const unanswered: readonly (readonly [
    what: string,
    change: (made: Made) => unknown,
    paths?: readonly StorePath[],
  ])[] = [
    ["a path that is not valid", () => {}, [TOP, ABSENT]],
    ["no size", ({ database }) => database.exec("UPDATE ValidPaths SET narSize = NULL")],
    ["no hash", ({ database }) => database.exec("UPDATE ValidPaths SET hash = NULL")],
    ["another schema", ({ folder }) => writeFile(join(folder, "schema"), "11")],
    ["no schema", ({ folder }) => writeFile(join(folder, "schema"), "")],
    ["no table", ({ database }) => database.exec("DROP TABLE Refs")],
    [
      "a column of another name",
      ({ database }) => database.exec("ALTER TABLE ValidPaths RENAME COLUMN narSize TO size"),
    ],
    ["no write-ahead log", ({ database }) => database.exec("PRAGMA journal_mode = DELETE")],
    [
      "a lock",
      ({ database }) =>
        database.exec("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; DELETE FROM Refs"),
    ],
    [
      "a file that is no database",
      async ({ database, path }) => {
        database.close();
        await writeFile(path, "no database".repeat(100));
      },
    ],
  ];
  test.for(unanswered)("gives no answer for %s", async ([, change, paths]) => {
    const made = await makeDatabase(onTestFinished);
    await change(made);
    expect(readClosure(made.path, paths ?? [TOP])).toBeUndefined();
  });

  test("gives no answer where there is no file, and makes none", async () => {
    const folder = await tempDir(onTestFinished);
    expect(readClosure(join(folder, "db.sqlite"), [TOP])).toBeUndefined();
    await writeFile(join(folder, "schema"), "10");
    expect(readClosure(join(folder, "db.sqlite"), [TOP])).toBeUndefined();
    expect(await readdir(folder)).toStrictEqual(["schema"]);
  });

  test("writes nothing to standard error", async () => {
    const { path } = await makeDatabase(onTestFinished);
    const module = join(import.meta.dirname, "../../../origin/nix/store-database.ts");
    const program = `import { readClosure } from ${JSON.stringify(module)};
      console.log(readClosure(${JSON.stringify(path)}, ["${TOP}"]).length);`;
    const { stdout, stderr } = spawnSync(
      process.execPath,
      ["--input-type=module", "--eval", program],
      { encoding: "utf8" },
    );
    expect({ stdout, stderr }).toStrictEqual({ stdout: "2\n", stderr: "" });
  });
});

interface Made {
  readonly folder: string;
  readonly path: string;
  readonly database: DatabaseSync;
}

/** A database of Nix's schema, as far as it matters here, that a writer has open. */
async function makeDatabase(onEnd: Ending): Promise<Made> {
  const folder = join(await tempDir(onEnd), "db");
  await mkdir(folder);
  await writeFile(join(folder, "schema"), "10");
  const path = join(folder, "db.sqlite");
  const database = new DatabaseSync(path);
  onEnd(() => {
    if (database.isOpen) database.close();
  });
  database.exec(`
    PRAGMA journal_mode = WAL;
    CREATE TABLE ValidPaths (
      id INTEGER PRIMARY KEY, path TEXT UNIQUE NOT NULL, hash TEXT, narSize INTEGER
    );
    CREATE TABLE Refs (
      referrer INTEGER NOT NULL, reference INTEGER NOT NULL, PRIMARY KEY (referrer, reference)
    );
    INSERT INTO ValidPaths VALUES
      (1, '${TOP}', 'sha256:1', 10), (2, '${LEAF}', 'sha256:2', 20), (3, '${OTHER}', 'sha256:3', 30);
    INSERT INTO Refs VALUES (1, 1), (1, 2), (3, 2);
  `);
  return { folder, path, database };
}

function sorted(objects: ReturnType<typeof readClosure>) {
  return objects?.toSorted((a, b) => (a.path < b.path ? -1 : 1));
}
