// The storage on a local disk: the contract of every storage, and what a kill leaves behind.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import {
  mkdir,
  open,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import { dirname, join, relative } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { describe, expect, onTestFinished, test } from "vitest";
import type { BlobStore } from "../../../origin/storage/blob-store.ts";
import { openFilesystemStore } from "../../../origin/storage/filesystem.ts";
import { type StorageKey, storageKey } from "../../../origin/storage/keys.ts";
import { openStaging } from "../../../origin/storage/staging.ts";
import type { PackageName } from "../../../registry/naming/recipe.ts";
import {
  bytesOf,
  layerKey,
  listed,
  patternOf,
  streamed,
  testBlobStore,
} from "../../contract/blob-store.ts";
import { missingAsRoot } from "../../e2e/clients.ts";
import { pinOf } from "../../registry/fixture.ts";
import { skipWhere } from "../../skip-where.ts";
import { type Ending, temporaryDirectory } from "../fixture.ts";
import { watchDisk } from "./disk.ts";

testBlobStore("the filesystem", async (onEnd) => {
  const root = await temporaryDirectory(onEnd);
  return () => openFilesystemStore(root);
});

const WRITER = fileURLToPath(new URL("writer.ts", import.meta.url));
const limit = { timeout: 30_000 };

/** A process with a store of its own; resolves when it says that it has come to its moment. */
async function startWriter(
  onEnd: Ending,
  root: string,
  moment: string,
  launcher: readonly string[] = [],
): Promise<ChildProcess> {
  const [program = "", ...args] = [...launcher, process.execPath, WRITER, root, moment];
  const child = spawn(program, args, { stdio: ["pipe", "pipe", "inherit"] });
  onEnd(() => void child.kill("SIGKILL"));
  const [line] = await once(createInterface(child.stdout), "line");
  expect(line).toBe(moment);
  return child;
}

async function kill(child: ChildProcess): Promise<void> {
  child.kill("SIGKILL");
  await once(child, "exit");
}

describe("a filesystem store whose process is killed", limit, () => {
  test("has nothing where a first value was half written", async () => {
    const root = await temporaryDirectory(onTestFinished);
    await kill(await startWriter(onTestFinished, root, "half-staged"));
    expect(await readdir(join(root, "staging"))).toHaveLength(1);
    const store = await openFilesystemStore(root);
    expect(await store.lookup(layerKey("value"))).toBeUndefined();
    expect(await store.sizeBytes(layerKey("value"))).toBeUndefined();
  });

  test("has the old value where a new one was half written", async () => {
    const root = await temporaryDirectory(onTestFinished);
    const before = await openFilesystemStore(root);
    await before.store(layerKey("value"), bytesOf("old"));
    await kill(await startWriter(onTestFinished, root, "half-staged"));
    const store = await openFilesystemStore(root);
    expect(Buffer.from((await store.lookup(layerKey("value"))) ?? []).toString()).toBe("old");
  });

  test("has a whole value whenever it is killed in a row of them", async () => {
    const root = await temporaryDirectory(onTestFinished);
    for (let round = 0; round < 3; round++) {
      await kill(await startWriter(onTestFinished, root, "storing"));
      const store = await openFilesystemStore(root);
      const value = Buffer.from((await store.lookup(layerKey("value"))) ?? []);
      expect(value.equals(patternOf(value.length))).toBe(true);
      expect(value.length).toBeGreaterThan(0);
      expect(value.length % 100_000).toBe(0);
    }
  });

  test("has every value whose storing had ended", async () => {
    const root = await temporaryDirectory(onTestFinished);
    await kill(await startWriter(onTestFinished, root, "stored"));
    const store = await openFilesystemStore(root);
    expect(String(await streamed(await store.open(layerKey("value"), null)))).toBe("whole");
  });

  test("leaves unfinished files that the next open removes", async () => {
    const root = await temporaryDirectory(onTestFinished);
    await kill(await startWriter(onTestFinished, root, "half-staged"));
    const store = await openFilesystemStore(root);
    const left = await readdir(join(root, "staging"));
    expect(left).toHaveLength(1);
    expect(store.stagingPath().startsWith(join(root, "staging", left[0] ?? ""))).toBe(true);
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
    test(`has a value that was stored: ${title}`, async () => {
      const root = await temporaryDirectory(onTestFinished);
      const disk = watchDisk(onTestFinished, root);
      const store = await openFilesystemStore(root);
      await before(store, root);
      disk.forget();
      await store.store(key, bytesOf("value"));
      expect(disk.survives(key)).toBe(true);
      expect(disk.hasty()).toStrictEqual([]);
    });

    test(`has a value that was created: ${title}`, async () => {
      const root = await temporaryDirectory(onTestFinished);
      const disk = watchDisk(onTestFinished, root);
      const store = await openFilesystemStore(root);
      await before(store, root);
      await store.remove(key);
      disk.forget();
      expect(await store.create(key, bytesOf("value"))).toBe(true);
      expect(disk.survives(key)).toBe(true);
      expect(disk.hasty()).toStrictEqual([]);
    });

    test(`has a file that was taken over: ${title}`, async () => {
      const root = await temporaryDirectory(onTestFinished);
      const disk = watchDisk(onTestFinished, root);
      const store = await openFilesystemStore(root);
      await before(store, root);
      disk.forget();
      const path = store.stagingPath();
      const handle = await open(path, "wx");
      await handle.writeFile("value");
      await handle.close();
      await store.storeFile(key, path);
      expect(disk.survives(key)).toBe(true);
      expect(disk.hasty()).toStrictEqual([]);
    });
  }

  test("has nothing that was only remembered, for which nobody waited", async () => {
    const root = await temporaryDirectory(onTestFinished);
    const disk = watchDisk(onTestFinished, root);
    const store = await openFilesystemStore(root);
    await store.remember(first, bytesOf("value"));
    expect(disk.syncs()).toBe(0);
    expect(disk.survives(first)).toBe(false);
  });
});

describe("openFilesystemStore", limit, () => {
  async function keepsHalf(launcher: readonly string[]): Promise<void> {
    const root = await temporaryDirectory(onTestFinished);
    const child = await startWriter(onTestFinished, root, "half-staged", launcher);
    // Long ago, however: a packing may take its time.
    const seconds = Date.now() / 1000 - 2 * 86_400;
    const staging = join(root, "staging");
    for (const name of await readdir(staging, { recursive: true })) {
      await utimes(join(staging, name), seconds, seconds);
    }
    const store = await openFilesystemStore(root);
    expect(await readdir(join(root, "staging"))).toHaveLength(2);
    // Told to go on, it finishes what it had begun.
    child.stdin?.end("go on\n");
    const [code] = await once(child, "exit");
    expect(code).toBe(0);
    expect(Buffer.from((await store.lookup(layerKey("value"))) ?? []).toString()).toBe("whole");
  }

  test("keeps the unfinished files of a process that lives", () => keepsHalf([]));

  test(
    "keeps those of one in another container, whose number here is nobody's",
    skipWhere(missingAsRoot()),
    () => keepsHalf(["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]),
  );

  test.for([
    ["folder", (path: string) => mkdir(path, { recursive: true })],
    ["file", (path: string) => writeFile(path, "x")],
  ] as const)(
    "removes a %s that no living process can have made, after a day",
    async ([, make]) => {
      const root = await temporaryDirectory(onTestFinished);
      await openFilesystemStore(root);
      // As an earlier version called it.
      const left = join(root, "staging", `${process.pid}-0000`);
      await make(left);
      await openFilesystemStore(root);
      await stat(left);
      const seconds = Date.now() / 1000 - 86_400;
      await utimes(left, seconds, seconds);
      await openFilesystemStore(root);
      await expect(stat(left)).rejects.toMatchObject({ code: "ENOENT" });
    },
  );

  test("keeps what was lately used where a filesystem has no locks, and makes its own anew", async () => {
    const staging = join(await temporaryDirectory(onTestFinished), "staging");
    let nowMs = Date.now();
    const stagingPath = await openStaging(staging, () => nowMs);
    const own = dirname(stagingPath());
    await rm(join(own, "lock"));
    nowMs += 20 * 3_600_000;
    stagingPath();
    nowMs += 20 * 3_600_000;
    await openStaging(staging, () => nowMs);
    await stat(own);
    nowMs += 20 * 3_600_000;
    await openStaging(staging, () => nowMs);
    await expect(stat(own)).rejects.toMatchObject({ code: "ENOENT" });
    await writeFile(stagingPath(), "x");
  });

  test("finds what an earlier one stored, as plain files under their keys", async () => {
    const root = await temporaryDirectory(onTestFinished);
    await (await openFilesystemStore(root)).store(layerKey("x"), bytesOf("kept"));
    expect(await readFile(join(root, layerKey("x")), "utf8")).toBe("kept");
    const store = await openFilesystemStore(root);
    expect(await store.sizeBytes(layerKey("x"))).toBe(4);
  });

  test("leaves nothing unfinished behind a value that was stored", async () => {
    const root = await temporaryDirectory(onTestFinished);
    const store = await openFilesystemStore(root);
    await store.store(layerKey("x"), bytesOf("x"));
    const [own = ""] = await readdir(join(root, "staging"));
    expect(await readdir(join(root, "staging", own))).toStrictEqual(["lock"]);
  });

  test("leaves nothing unfinished behind a value that could not be stored", async () => {
    const root = await temporaryDirectory(onTestFinished);
    const store = await openFilesystemStore(root);
    await writeFile(join(root, "layers"), "no folder");
    await expect(store.store(layerKey("x"), bytesOf("x"))).rejects.toMatchObject({
      code: "EEXIST",
    });
    await expect(store.remember(layerKey("x"), bytesOf("x"))).rejects.toMatchObject({
      code: "EEXIST",
    });
    await expect(store.create(layerKey("x"), bytesOf("x"))).rejects.toMatchObject({
      code: "ENOTDIR",
    });
    const [own = ""] = await readdir(join(root, "staging"));
    expect(await readdir(join(root, "staging", own))).toStrictEqual(["lock"]);
  });

  test("stores again where a folder of its own was removed", async () => {
    const root = await temporaryDirectory(onTestFinished);
    const store = await openFilesystemStore(root);
    for (const way of ["store", "remember", "create"] as const) {
      await store[way](layerKey("x"), bytesOf("before"));
      await rm(join(root, "layers"), { recursive: true });
      await store[way](layerKey("x"), bytesOf("after"));
      expect(await store.lookup(layerKey("x"))).toStrictEqual(Buffer.from("after"));
    }
  });

  test("creates a value where the filesystem has no hard links", async () => {
    const root = await temporaryDirectory(onTestFinished);
    const store = await openFilesystemStore(root);
    const { link } = fs.promises;
    const refused = Object.assign(new Error("no links"), { code: "EPERM" });
    Object.assign(fs.promises, { link: () => Promise.reject(refused) });
    syncBuiltinESMExports();
    onTestFinished(() => {
      Object.assign(fs.promises, { link });
      syncBuiltinESMExports();
    });
    expect(await store.create(layerKey("x"), bytesOf("first"))).toBe(true);
    expect(await store.create(layerKey("x"), bytesOf("second"))).toBe(false);
    expect(await store.lookup(layerKey("x"))).toStrictEqual(Buffer.from("first"));
    const [own = ""] = await readdir(join(root, "staging"));
    expect(await readdir(join(root, "staging", own))).toStrictEqual(["lock"]);
  });

  test("lists files alone, not what else lies in a collection", async () => {
    const root = await temporaryDirectory(onTestFinished);
    const store = await openFilesystemStore(root);
    await store.store(layerKey("x"), bytesOf("x"));
    await mkdir(join(root, "layers", "empty"));
    await symlink("nowhere", join(root, "layers", "link"));
    expect(await listed(store, "layers/")).toMatchObject([{ key: layerKey("x") }]);
  });

  test("takes a path in any spelling", async () => {
    const root = await temporaryDirectory(onTestFinished);
    const store = await openFilesystemStore(`${relative(process.cwd(), root)}/./`);
    await store.store(layerKey("x"), bytesOf("x"));
    expect(await readFile(join(root, layerKey("x")), "utf8")).toBe("x");
  });

  test("does not take a folder for a value", async () => {
    const root = await temporaryDirectory(onTestFinished);
    const store = await openFilesystemStore(root);
    await mkdir(join(root, layerKey("x")), { recursive: true });
    expect(await store.sizeBytes(layerKey("x"))).toBeUndefined();
  });
});
