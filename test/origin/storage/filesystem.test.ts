// The storage on a local disk: the contract of every storage, and what a kill leaves behind.

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, open, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { createInterface } from "node:readline";
import { describe, type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import type { BlobStore } from "../../../origin/storage/blob-store.ts";
import { openFilesystemStore } from "../../../origin/storage/filesystem.ts";
import { type StorageKey, storageKey } from "../../../origin/storage/keys.ts";
import type { PackageName } from "../../../registry/naming/recipe.ts";
import {
  bytesOf,
  layerKey,
  patternOf,
  streamed,
  testBlobStore,
} from "../../contract/blob-store.ts";
import { pinOf } from "../../registry/fixture.ts";
import { temporaryDirectory } from "../fixture.ts";
import { watchDisk } from "./disk.ts";

testBlobStore("the filesystem", async (t) => openFilesystemStore(await temporaryDirectory(t)));

const WRITER = fileURLToPath(new URL("writer.ts", import.meta.url));
const limit = { timeout: 30_000 };

/** A process with a store of its own; resolves when it says that it has come to its moment. */
async function startWriter(t: TestContext, root: string, moment: string): Promise<ChildProcess> {
  const child = spawn(process.execPath, [WRITER, root, moment], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  t.after(() => child.kill("SIGKILL"));
  const [line] = await once(createInterface(child.stdout), "line");
  assert.equal(line, moment);
  return child;
}

async function kill(child: ChildProcess): Promise<void> {
  child.kill("SIGKILL");
  await once(child, "exit");
}

describe("a filesystem store whose process is killed", limit, () => {
  test("has nothing where a first value was half written", async (t) => {
    const root = await temporaryDirectory(t);
    await kill(await startWriter(t, root, "half-staged"));
    assert.equal((await readdir(join(root, "staging"))).length, 1);
    const store = await openFilesystemStore(root);
    assert.equal(await store.lookup(layerKey("value")), undefined);
    assert.equal(await store.sizeBytes(layerKey("value")), undefined);
  });

  test("has the old value where a new one was half written", async (t) => {
    const root = await temporaryDirectory(t);
    const before = await openFilesystemStore(root);
    await before.store(layerKey("value"), bytesOf("old"));
    await kill(await startWriter(t, root, "half-staged"));
    const store = await openFilesystemStore(root);
    assert.equal(Buffer.from((await store.lookup(layerKey("value"))) ?? []).toString(), "old");
  });

  test("has a whole value whenever it is killed in a row of them", async (t) => {
    const root = await temporaryDirectory(t);
    for (let round = 0; round < 3; round++) {
      await kill(await startWriter(t, root, "storing"));
      const store = await openFilesystemStore(root);
      const value = Buffer.from((await store.lookup(layerKey("value"))) ?? []);
      assert(value.equals(patternOf(value.length)));
      assert(value.length > 0 && value.length % 100_000 === 0, `${value.length}`);
    }
  });

  test("has every value whose storing had ended", async (t) => {
    const root = await temporaryDirectory(t);
    await kill(await startWriter(t, root, "stored"));
    const store = await openFilesystemStore(root);
    assert.equal(String(await streamed(await store.open(layerKey("value"), null))), "whole");
  });

  test("leaves unfinished files that the next open removes", async (t) => {
    const root = await temporaryDirectory(t);
    await kill(await startWriter(t, root, "half-staged"));
    const store = await openFilesystemStore(root);
    const left = await readdir(join(root, "staging"));
    assert.equal(left.length, 1);
    assert(store.stagingPath().startsWith(join(root, "staging", left[0] ?? "")));
  });
});

describe("a filesystem store whose machine loses its power", limit, () => {
  const [first, second] = [layerKey("first"), layerKey("second")];
  const nested = storageKey.lookup(pinOf("a".repeat(40)), "x86_64-linux", "hello" as PackageName);
  const rows: readonly (readonly [
    title: string,
    before: (store: BlobStore, root: string) => Promise<void>,
    key: StorageKey,
  ])[] = [
    ["the first of its folder", async () => {}, first],
    ["another one of its folder", (store) => store.store(second, bytesOf("second")), first],
    ["one below folders that are new", async () => {}, nested],
    ["one in the place of another", (store) => store.store(first, bytesOf("old")), first],
    [
      "one in the place of what was only remembered",
      (store) => store.remember(first, bytesOf("old")),
      first,
    ],
    [
      "one of a folder that was removed",
      async (store, root) => {
        await store.store(first, bytesOf("old"));
        await rm(join(root, dirname(first)), { recursive: true });
      },
      first,
    ],
  ];
  for (const [title, before, key] of rows) {
    test(`has a value that was stored: ${title}`, async (t) => {
      const root = await temporaryDirectory(t);
      const disk = watchDisk(t, root);
      const store = await openFilesystemStore(root);
      await before(store, root);
      disk.forget();
      await store.store(key, bytesOf("value"));
      assert(disk.survives(key));
      assert.deepEqual(disk.hasty(), []);
    });

    test(`has a file that was taken over: ${title}`, async (t) => {
      const root = await temporaryDirectory(t);
      const disk = watchDisk(t, root);
      const store = await openFilesystemStore(root);
      await before(store, root);
      disk.forget();
      const path = store.stagingPath();
      const handle = await open(path, "wx");
      await handle.writeFile("value");
      await handle.close();
      await store.storeFile(key, path);
      assert(disk.survives(key));
      assert.deepEqual(disk.hasty(), []);
    });
  }

  test("has nothing that was only remembered, for which nobody waited", async (t) => {
    const root = await temporaryDirectory(t);
    const disk = watchDisk(t, root);
    const store = await openFilesystemStore(root);
    await store.remember(first, bytesOf("value"));
    assert.equal(disk.syncs(), 0);
    assert(!disk.survives(first));
  });
});

describe("openFilesystemStore", limit, () => {
  test("keeps the unfinished files of a process that lives", async (t) => {
    const root = await temporaryDirectory(t);
    const child = await startWriter(t, root, "half-staged");
    const store = await openFilesystemStore(root);
    assert.equal((await readdir(join(root, "staging"))).length, 2);
    // Told to go on, it finishes what it had begun.
    child.stdin?.end("go on\n");
    const [code] = await once(child, "exit");
    assert.equal(code, 0);
    assert.equal(Buffer.from((await store.lookup(layerKey("value"))) ?? []).toString(), "whole");
  });

  test("removes what an earlier process of its own number left, as in a container", async (t) => {
    const root = await temporaryDirectory(t);
    const left = join(root, "staging", `${process.pid}-0000`);
    await mkdir(left, { recursive: true });
    await writeFile(join(left, "file"), "x");
    await openFilesystemStore(root);
    await assert.rejects(stat(left), { code: "ENOENT" });
  });

  test("removes what no process could have made", async (t) => {
    const root = await temporaryDirectory(t);
    await mkdir(join(root, "staging", "junk"), { recursive: true });
    await writeFile(join(root, "staging", "file"), "x");
    await openFilesystemStore(root);
    const names = await readdir(join(root, "staging"));
    assert.deepEqual(
      names.filter((name) => !name.startsWith(`${process.pid}-`)),
      [],
    );
  });

  test("finds what an earlier one stored, as plain files under their keys", async (t) => {
    const root = await temporaryDirectory(t);
    await (await openFilesystemStore(root)).store(layerKey("x"), bytesOf("kept"));
    assert.equal(await readFile(join(root, layerKey("x")), "utf8"), "kept");
    const store = await openFilesystemStore(root);
    assert.equal(await store.sizeBytes(layerKey("x")), 4);
  });

  test("leaves nothing unfinished behind a value that was stored", async (t) => {
    const root = await temporaryDirectory(t);
    const store = await openFilesystemStore(root);
    await store.store(layerKey("x"), bytesOf("x"));
    const [own = ""] = await readdir(join(root, "staging"));
    assert.deepEqual(await readdir(join(root, "staging", own)), []);
  });

  test("leaves nothing unfinished behind a value that could not be stored", async (t) => {
    const root = await temporaryDirectory(t);
    const store = await openFilesystemStore(root);
    await writeFile(join(root, "layers"), "no folder");
    await assert.rejects(store.store(layerKey("x"), bytesOf("x")), { code: "EEXIST" });
    await assert.rejects(store.remember(layerKey("x"), bytesOf("x")), { code: "EEXIST" });
    const [own = ""] = await readdir(join(root, "staging"));
    assert.deepEqual(await readdir(join(root, "staging", own)), []);
  });

  test("stores again where a folder of its own was removed", async (t) => {
    const root = await temporaryDirectory(t);
    const store = await openFilesystemStore(root);
    for (const way of ["store", "remember"] as const) {
      await store[way](layerKey("x"), bytesOf("before"));
      await rm(join(root, "layers"), { recursive: true });
      await store[way](layerKey("x"), bytesOf("after"));
      assert.deepEqual(await store.lookup(layerKey("x")), Buffer.from("after"));
    }
  });

  test("takes a path in any spelling", async (t) => {
    const root = await temporaryDirectory(t);
    const store = await openFilesystemStore(`${relative(process.cwd(), root)}/./`);
    await store.store(layerKey("x"), bytesOf("x"));
    assert.equal(await readFile(join(root, layerKey("x")), "utf8"), "x");
  });

  test("does not take a folder for a value", async (t) => {
    const root = await temporaryDirectory(t);
    const store = await openFilesystemStore(root);
    await mkdir(join(root, layerKey("x")), { recursive: true });
    assert.equal(await store.sizeBytes(layerKey("x")), undefined);
  });
});
