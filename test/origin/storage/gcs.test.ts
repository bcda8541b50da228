// The storage in a bucket: the contract of every storage, on an emulator of Google's. It compares
// preconditions, and the checksum of what travels in one request; not that of an upload in pieces, nor
// credentials. So what it is asked is looked at by itself.

import { readdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { hostFailureOf } from "../../../origin/failures/host-error.ts";
import type { BlobStore } from "../../../origin/storage/blob-store.ts";
import { checksumOf } from "../../../origin/storage/bucket.ts";
import { createGcsStore, type GcsStoreOptions } from "../../../origin/storage/gcs.ts";
import type { StorageKey } from "../../../origin/storage/keys.ts";
import { openStaging } from "../../../origin/storage/staging.ts";
import { StorageFailed } from "../../../origin/storage/storage-failed.ts";
import {
  bytesOf,
  layerKey,
  listed,
  patternOf,
  streamed,
  testBlobStore,
} from "../../contract/blob-store.ts";
import { skipWhere } from "../../skip-where.ts";
import { type Ending, endOfFile, temporaryDirectory } from "../fixture.ts";
import { type Between, type Fault, startBetween } from "./between.ts";
import { bucketOf, type Emulator, missingEmulator, startEmulator } from "./emulator.ts";

const atEnd = endOfFile();
const onEmulator = skipWhere(await missingEmulator());
let emulator: Emulator;
beforeAll(async () => {
  if (!onEmulator.skip) emulator = await startEmulator(atEnd);
});

describe("Google Cloud Storage", onEmulator, () => {
  testBlobStore("a bucket", async (onEnd) => {
    const bucket = bucketOf(emulator, await emulator.makeBucket());
    const folder = await temporaryDirectory(onEnd);
    return async () => {
      const stagingPath = await openStaging(join(folder, "staging"));
      return createGcsStore({ bucket, stagingPath, copiesBytes: 1e9, pageSize: 40 });
    };
  });
});

async function open(onEnd: Ending, over: Partial<GcsStoreOptions> = {}) {
  const between = await startBetween(onEnd, emulator);
  const bucket = bucketOf(between, await emulator.makeBucket());
  const stagingPath = await openStaging(join(await temporaryDirectory(onEnd), "staging"));
  const openStore = () => createGcsStore({ bucket, stagingPath, copiesBytes: 1e9, ...over });
  return { between, bucket, openStore, store: openStore() };
}

async function stage(store: BlobStore, bytes: Uint8Array): Promise<string> {
  const path = store.stagingPath();
  await writeFile(path, bytes);
  return path;
}

/** Requests that store something: of their query what the emulator may not look at. */
function uploads(between: Between) {
  return between.seen
    .filter(({ method, path }) => method === "POST" && path.startsWith("/upload/"))
    .map(({ query, body, headers }) => ({
      type: query.get("uploadType"),
      condition: query.get("ifGenerationMatch"),
      crc32c: /"crc32c":"([^"]*)"/.exec(body.toString("latin1"))?.[1],
      contentType:
        /"contentType":"([^"]*)"/.exec(body.toString("latin1"))?.[1] ??
        headers["x-upload-content-type"],
    }));
}

const KEY = layerKey("x");
/** More than travels in one request. */
const LARGE = patternOf(18 * 1024 * 1024);

describe("what a bucket is asked", onEmulator, () => {
  test("says of each value what it must be, and of a new one that nothing is there", async () => {
    const { between, store } = await open(onTestFinished);
    await store.create(KEY, bytesOf("hello"));
    await store.store(KEY, bytesOf("hello"));
    await store.remove(KEY);
    await store.storeFile(KEY, await stage(store, bytesOf("hello")));
    // As `gsutil hash` tells it of the same bytes.
    const told = { type: "multipart", crc32c: "mnG7TA==", contentType: "application/octet-stream" };
    expect(uploads(between)).toStrictEqual([
      { ...told, condition: "0" },
      { ...told, condition: null },
      { ...told, condition: "0" },
    ]);
  });

  test("sends a large file in pieces, with the same words at their beginning", async () => {
    const { between, store } = await open(onTestFinished);
    await store.storeFile(KEY, await stage(store, LARGE));
    expect(uploads(between)).toStrictEqual([
      {
        ...{ type: "resumable", condition: "0" },
        ...{ crc32c: checksumOf(LARGE), contentType: "application/octet-stream" },
      },
    ]);
    const pieces = between.seen.filter(({ method }) => method === "PUT");
    expect(pieces.map(({ headers }) => headers["content-range"])).toStrictEqual([
      "bytes 0-16777215/*",
      "bytes 16777216-18874367/18874368",
    ]);
  });

  test("replaces what is damaged, in the place of just that", async () => {
    const { between, bucket, store } = await open(onTestFinished);
    await store.store(KEY, bytesOf("hellO"));
    const damaged = await bucket.describe(KEY);
    between.forget();
    await store.storeFile(KEY, await stage(store, bytesOf("hello")));
    expect(uploads(between)).toMatchObject([{ condition: String(damaged?.generation) }]);
    expect(await store.lookup(KEY)).toStrictEqual(bytesOf("hello"));
  });

  test("sends nothing of what is there", async () => {
    const { between, store, openStore } = await open(onTestFinished);
    await store.storeFile(KEY, await stage(store, bytesOf("hello")));
    between.forget();
    const other = openStore();
    await other.storeFile(KEY, await stage(other, bytesOf("hello")));
    expect(await other.create(KEY, bytesOf("hello"))).toBe(false);
    expect(uploads(between)).toStrictEqual([]);
  });

  test("takes what another has stored meanwhile for its own, where it is the same", async () => {
    const { between, bucket, store } = await open(onTestFinished);
    let met = false;
    const content = { from: bytesOf("hello"), sizeBytes: 5, crc32c: checksumOf(bytesOf("hello")) };
    const meeting = {
      ...bucket,
      async describe(key: StorageKey) {
        const there = await bucket.describe(key);
        if (!met) await bucket.put(key, content, 0);
        met = true;
        return there;
      },
    };
    const stagingPath = store.stagingPath;
    const late = createGcsStore({ bucket: meeting, stagingPath, copiesBytes: 0 });
    await late.storeFile(KEY, await stage(late, bytesOf("hello")));
    expect(uploads(between).map(({ condition }) => condition)).toStrictEqual(["0", "0"]);
    expect(await store.lookup(KEY)).toStrictEqual(bytesOf("hello"));
  });

  test("has it refuse bytes that are not those that were meant, and keep nothing of them", async () => {
    const { bucket, store } = await open(onTestFinished);
    const content = { from: bytesOf("hellO"), sizeBytes: 5, crc32c: checksumOf(bytesOf("hello")) };
    await expect(bucket.put(KEY, content, 0)).rejects.toThrow(StorageFailed);
    expect(await store.sizeBytes(KEY)).toBeUndefined();
  });
});

test("a large file that arrives as something else is not left there", onEmulator, async () => {
  const { bucket, store } = await open(onTestFinished);
  const path = await stage(store, LARGE);
  const wrong = { from: { path }, sizeBytes: LARGE.length, crc32c: checksumOf(bytesOf("hello")) };
  // The emulator does not compare what comes in pieces.
  await expect(bucket.put(KEY, wrong, 0)).rejects.toThrow(StorageFailed);
  expect(await store.sizeBytes(KEY)).toBeUndefined();
});

describe("a bucket that fails", onEmulator, () => {
  const passing: readonly Fault[] = [{ status: 429 }, { status: 500 }, { status: 503 }, "break"];
  test("once is asked again", async () => {
    // Side by side, since Google's library waits a second before it asks again.
    const rounds = passing.map(async (fault) => {
      const { between, store } = await open(onTestFinished);
      const failed = new Set<string>();
      between.failing(({ method, path, query }) => {
        const one = `${method} ${path} ${query}`;
        if (failed.has(one)) return undefined;
        failed.add(one);
        return fault;
      });
      await store.storeFile(KEY, await stage(store, bytesOf("hello")));
      expect(await store.lookup(KEY)).toStrictEqual(bytesOf("hello"));
      expect(await store.sizeBytes(KEY)).toBe(5);
      expect(await listed(store, "layers/")).toHaveLength(1);
      await store.remove(KEY);
      expect(await store.sizeBytes(KEY)).toBeUndefined();
      expect(failed.size, "what it is about, an upload, a read, a list, a removal").toBe(5);
    });
    await Promise.all(rounds);
  });

  test("amid a large file goes on with the piece that failed", async () => {
    const { between, store, openStore } = await open(onTestFinished);
    let failed = false;
    between.failing(({ method, headers }) => {
      const range = String(headers["content-range"]);
      // The emulator takes the question how far it is for the end of the upload.
      if (method === "PUT" && range === "bytes */*") {
        return { status: 308, headers: { Range: "bytes=0-16777215" } };
      }
      if (failed || method !== "PUT" || !range.startsWith("bytes 16777216-")) return undefined;
      failed = true;
      return { status: 503 };
    });
    await store.storeFile(KEY, await stage(store, LARGE));
    const sent = between.seen.filter(({ method, body }) => method === "PUT" && body.length > 0);
    expect(sent).toHaveLength(3);
    expect((await streamed(await openStore().open(KEY, null))).equals(LARGE)).toBe(true);
  });

  test("amid a large file, and has forgotten what it had of it, is sent it anew", async () => {
    const { between, store, openStore } = await open(onTestFinished);
    let sessions = 0;
    between.failing(({ method, path, headers }) => {
      const range = String(headers["content-range"]);
      if (method === "POST" && path.startsWith("/upload/")) sessions += 1;
      if (method !== "PUT" || sessions > 1) return undefined;
      if (range === "bytes */*") return { status: 308 };
      return range.startsWith("bytes 16777216-") ? { status: 503 } : undefined;
    });
    await store.storeFile(KEY, await stage(store, LARGE));
    expect(sessions).toBe(2);
    expect((await streamed(await openStore().open(KEY, null))).equals(LARGE)).toBe(true);
  });

  const lasting: readonly (readonly [status: number, reason: string])[] = [
    [403, "the storage refuses this host"],
    [401, "the storage refuses this host"],
    [503, "the storage does not answer"],
    [429, "the storage is asked too often"],
  ];
  test("for good fails what is asked of it as a failure of the host", async () => {
    const rounds = lasting.map(async ([status, reason]) => {
      const { between, store } = await open(onTestFinished);
      await store.store(KEY, bytesOf("hello"));
      const path = await stage(store, bytesOf("hello"));
      between.failing(() => ({ status }));
      const asked = [
        () => store.lookup(KEY),
        () => store.sizeBytes(KEY),
        () => store.open(KEY, null),
        () => store.store(KEY, bytesOf("x")),
        () => store.create(KEY, bytesOf("x")),
        () => store.storeFile(KEY, path),
        () => store.remove(KEY),
        () => listed(store, "layers/"),
      ];
      const failures = await Promise.all(asked.map((ask) => ask().catch((error) => error)));
      for (const failure of failures) {
        expect(failure).toBeInstanceOf(StorageFailed);
        expect(hostFailureOf(failure)).toStrictEqual({ kind: "host-failed", reason });
      }
      // Whoever joins layers gets on without.
      expect(await store.localPart(KEY, { offset: 0, length: 1e6 })).toBeUndefined();
    });
    await Promise.all(rounds);
  });

  test("amid what is read breaks it off, and gives no part of it for the whole", async () => {
    const { between, store } = await open(onTestFinished);
    await store.store(KEY, patternOf(1_000_000));
    between.failing(() => "cut");
    await expect(store.lookup(KEY)).rejects.toThrow(StorageFailed);
    await expect(streamed(await store.open(KEY, null))).rejects.toThrow();
    const range = { offset: 0, length: 900_000 };
    await expect(streamed(await store.open(KEY, range))).rejects.toThrow();
    expect(await store.localPart(KEY, range)).toBeUndefined();
  });
});

test(
  "a value that is known to be there is not asked for again within a minute",
  onEmulator,
  async () => {
    let nowMs = 0;
    const { between, store, openStore } = await open(onTestFinished, { now: () => nowMs });
    await store.create(KEY, bytesOf("hello"));
    between.forget();
    nowMs = 59_999;
    expect(await store.create(KEY, bytesOf("hello"))).toBe(false);
    expect(between.seen).toHaveLength(0);
    const other = openStore();
    await other.create(KEY, bytesOf("hello"));
    await other.remove(KEY);
    expect(await other.create(KEY, bytesOf("hello"))).toBe(true);
    await other.remove(KEY);
    nowMs = 60_000;
    expect(await store.create(KEY, bytesOf("hello"))).toBe(true);
  },
);

describe("local copies of a bucket", onEmulator, () => {
  test("spare asking for what was stored here, and for a part a second time", async () => {
    const { between, store, openStore } = await open(onTestFinished);
    const bytes = patternOf(500_000);
    await store.storeFile(KEY, await stage(store, bytes));
    between.forget();
    expect((await streamed(await store.open(KEY, null))).equals(bytes)).toBe(true);
    const range = { offset: 100_000, length: 300_000 };
    const part = bytes.subarray(100_000, 400_000);
    expect((await streamed(await store.open(KEY, range))).equals(part)).toBe(true);
    expect(between.seen).toHaveLength(0);
    const other = openStore();
    const parts = await Promise.all([1, 2, 3].map(() => other.localPart(KEY, range)));
    expect(new Set(parts.map((each) => each?.path)).size).toBe(1);
    expect(between.seen.map(({ headers }) => headers.range)).toStrictEqual(["bytes=100000-399999"]);
    expect((await readFile(parts[0]?.path ?? "")).equals(part)).toBe(true);
  });

  test("take no more than they may, the last used staying", async () => {
    const { between, store } = await open(onTestFinished, { copiesBytes: 250_000 });
    const keys = ["a", "b", "c"].map(layerKey);
    for (const key of keys) {
      await store.storeFile(key, await stage(store, patternOf(100_000)));
      await streamed(await store.open(layerKey("a"), null));
    }
    between.forget();
    for (const key of keys) await streamed(await store.open(key, null));
    expect(between.seen.map(({ path }) => decodeURIComponent(path).split("/o/")[1])).toStrictEqual([
      layerKey("b"),
    ]);
    const [folder] = [dirname(store.stagingPath())];
    expect(await readdir(folder)).toHaveLength(3);
  });

  test("are none where they may take nothing", async () => {
    const { store } = await open(onTestFinished, { copiesBytes: 0 });
    await store.storeFile(KEY, await stage(store, patternOf(100_000)));
    expect(await streamed(await store.open(KEY, null))).toHaveLength(100_000);
    await store.localPart(KEY, { offset: 0, length: 90_000 });
    expect(await readdir(dirname(store.stagingPath()))).toStrictEqual(["lock"]);
  });

  test("are not made of what is packed again sooner", async () => {
    const { between, store } = await open(onTestFinished);
    await store.store(KEY, patternOf(100_000));
    between.forget();
    expect(await store.localPart(KEY, { offset: 0, length: 1000 })).toBeUndefined();
    expect(between.seen).toStrictEqual([]);
  });

  test("are not made of a part that is not there in full", async () => {
    const { store } = await open(onTestFinished);
    await store.store(KEY, patternOf(100_000));
    expect(await store.localPart(KEY, { offset: 30_000, length: 90_000 })).toBeUndefined();
    expect(await readdir(dirname(store.stagingPath()))).toStrictEqual(["lock"]);
  });

  test("are given up with what they are of", async () => {
    const { store } = await open(onTestFinished);
    for (const way of ["store", "remove"] as const) {
      await store.storeFile(KEY, await stage(store, bytesOf("before")));
      await store[way](KEY, bytesOf("after"));
      const now = await store.open(KEY, null);
      expect(now && String(await streamed(now))).toBe(way === "store" ? "after" : undefined);
      await store.remove(KEY);
    }
  });
});
