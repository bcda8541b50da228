// What every storage of the origin must do. A new one passes this, opened on a real place of its own.

import { createHash } from "node:crypto";
import { open, readFile } from "node:fs/promises";
import { assert, describe, expect, onTestFinished, test } from "vitest";
import type { BlobStore } from "../../origin/storage/blob-store.ts";
import { type StorageKey, storageKey } from "../../origin/storage/keys.ts";
import type { Ending } from "../origin/fixture.ts";
import { digestOfText, tagOf } from "../registry/fixture.ts";

/** Opens a store on a new, empty place, which is gone after the test. */
export type OpenStore = (onEnd: Ending) => Promise<BlobStore>;

const LARGE_SIZE_BYTES = 5 * 1024 * 1024 + 7;

export function bytesOf(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text));
}

export function layerKey(name: string): StorageKey {
  return storageKey.layer(digestOfText(name));
}

export async function streamed(stream: ReadableStream<Uint8Array> | undefined): Promise<Buffer> {
  assert(stream !== undefined, "there is nothing to read");
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** The same bytes in every run, of which no two parts are alike. */
export function patternOf(sizeBytes: number): Buffer {
  const bytes = Buffer.alloc(sizeBytes);
  for (let offset = 0; offset + 4 <= sizeBytes; offset += 4) {
    bytes.writeUInt32BE(Math.imul(offset + 1, 2_654_435_761) >>> 0, offset);
  }
  return bytes;
}

async function stage(store: BlobStore, bytes: Uint8Array): Promise<string> {
  const path = store.stagingPath();
  const handle = await open(path, "wx");
  await handle.writeFile(bytes);
  await handle.sync();
  await handle.close();
  return path;
}

export function testBlobStore(name: string, openStore: OpenStore): void {
  describe(`${name} as a blob store`, () => {
    test("gives back what was stored, whole and as a stream", async () => {
      const store = await openStore(onTestFinished);
      const every = Uint8Array.from({ length: 256 }, (_, byte) => byte);
      await store.store(layerKey("every byte"), every);
      expect(Buffer.from((await store.lookup(layerKey("every byte"))) ?? [])).toStrictEqual(
        Buffer.from(every),
      );
      expect(await store.sizeBytes(layerKey("every byte"))).toBe(256);
      expect(await streamed(await store.open(layerKey("every byte"), null))).toStrictEqual(
        Buffer.from(every),
      );
    });

    test("keeps an empty value apart from none", async () => {
      const store = await openStore(onTestFinished);
      await store.store(layerKey("empty"), new Uint8Array());
      expect((await store.lookup(layerKey("empty")))?.length).toBe(0);
      expect(await store.sizeBytes(layerKey("empty"))).toBe(0);
      expect(await streamed(await store.open(layerKey("empty"), null))).toHaveLength(0);
    });

    test("has nothing under a key that was never stored, nor under one that begins alike", async () => {
      const store = await openStore(onTestFinished);
      await store.store(storageKey.outbox("git", tagOf("latest"), "oci-gzip"), bytesOf("x"));
      const absent = [layerKey("absent"), storageKey.outbox("git", tagOf("latest"), "oci-zstd")];
      for (const key of absent) {
        expect(await store.lookup(key)).toBeUndefined();
        expect(await store.sizeBytes(key)).toBeUndefined();
        expect(await store.open(key, null)).toBeUndefined();
        expect(await store.open(key, { offset: 0, length: 1 })).toBeUndefined();
      }
    });

    test("replaces a value, also by a shorter one", async () => {
      const store = await openStore(onTestFinished);
      for (const text of ["a first value", "second", "", "and a fourth, the longest of all"]) {
        await store.store(layerKey("x"), bytesOf(text));
        expect(String(await streamed(await store.open(layerKey("x"), null)))).toBe(text);
        expect(await store.sizeBytes(layerKey("x"))).toBe(text.length);
      }
    });

    test("does not keep the caller's buffer", async () => {
      const store = await openStore(onTestFinished);
      const bytes = bytesOf("before");
      await store.store(layerKey("x"), bytes);
      bytes.fill(0);
      expect(Buffer.from((await store.lookup(layerKey("x"))) ?? []).toString()).toBe("before");
    });

    const ranges: readonly [offset: number, length: number, text: string][] = [
      [0, 1, "0"],
      [0, 10, "0123456789"],
      [9, 1, "9"],
      [3, 4, "3456"],
    ];
    for (const [offset, length, text] of ranges) {
      test(`reads ${length} bytes from ${offset} on`, async () => {
        const store = await openStore(onTestFinished);
        await store.store(layerKey("digits"), bytesOf("0123456789"));
        const part = await store.open(layerKey("digits"), { offset, length });
        expect(String(await streamed(part))).toBe(text);
      });
    }

    test("takes a finished file over, however large, and streams it", async () => {
      const store = await openStore(onTestFinished);
      const bytes = patternOf(LARGE_SIZE_BYTES);
      const path = await stage(store, bytes);
      await store.storeFile(layerKey("large"), path);
      await expect(readFile(path)).rejects.toMatchObject({ code: "ENOENT" });
      expect(await store.sizeBytes(layerKey("large"))).toBe(bytes.length);
      const hash = createHash("sha256");
      for await (const chunk of (await store.open(layerKey("large"), null)) ?? []) {
        expect(chunk.length, "it is read in pieces").toBeLessThan(bytes.length);
        hash.update(chunk);
      }
      expect(hash.digest("hex")).toBe(createHash("sha256").update(bytes).digest("hex"));
      const middle = { offset: 1_000_001, length: 2_000_000 };
      const part = await streamed(await store.open(layerKey("large"), middle));
      expect(part.equals(bytes.subarray(1_000_001, 3_000_001))).toBe(true);
    });

    test("replaces a value by a file", async () => {
      const store = await openStore(onTestFinished);
      await store.store(layerKey("x"), bytesOf("old"));
      await store.storeFile(layerKey("x"), await stage(store, bytesOf("new")));
      expect(Buffer.from((await store.lookup(layerKey("x"))) ?? []).toString()).toBe("new");
    });

    test("names a new place for each file that is written to it", async () => {
      const store = await openStore(onTestFinished);
      expect(store.stagingPath()).not.toBe(store.stagingPath());
    });

    test("lets go of a stream that is given up", async () => {
      const store = await openStore(onTestFinished);
      await store.store(layerKey("x"), patternOf(LARGE_SIZE_BYTES));
      const stream = await store.open(layerKey("x"), null);
      const reader = stream?.getReader();
      assert((await reader?.read())?.value !== undefined);
      await reader?.cancel();
      expect(await streamed(await store.open(layerKey("x"), null))).toHaveLength(LARGE_SIZE_BYTES);
    });

    test("lists what is in a collection, in order, and nothing else", async () => {
      const store = await openStore(onTestFinished);
      expect(await store.list("outbox/")).toStrictEqual([]);
      const keys = ["a", "b", "c"].map((tag) => storageKey.outbox("git", tagOf(tag), "oci-gzip"));
      for (const key of keys) await store.store(key, bytesOf(key));
      await store.store(layerKey("a"), bytesOf("no entry"));
      expect(await store.list("outbox/")).toStrictEqual(keys.toSorted());
      for (const key of await store.list("outbox/")) {
        expect(Buffer.from((await store.lookup(key)) ?? []).toString()).toBe(key);
      }
    });

    test("removes a value, and does not mind that there is none", async () => {
      const store = await openStore(onTestFinished);
      const key = storageKey.outbox("git", tagOf("latest"), "oci-gzip");
      await store.store(key, bytesOf("x"));
      for (let times = 0; times < 2; times++) {
        await store.remove(key);
        expect(await store.lookup(key)).toBeUndefined();
        expect(await store.sizeBytes(key)).toBeUndefined();
        expect(await store.list("outbox/")).toStrictEqual([]);
      }
      await store.store(key, bytesOf("again"));
      expect(await store.sizeBytes(key)).toBe(5);
    });

    test("ends with one whole value when many are stored under a key at once", async () => {
      const store = await openStore(onTestFinished);
      const values = Array.from({ length: 20 }, (_, index) => patternOf(1000 + index));
      const reads: (number | undefined)[] = [];
      await Promise.all(
        values.map(async (bytes) => {
          await store.store(layerKey("x"), bytes);
          reads.push((await store.lookup(layerKey("x")))?.length);
        }),
      );
      const last = Buffer.from((await store.lookup(layerKey("x"))) ?? []);
      expect(values.some((bytes) => bytes.equals(last))).toBe(true);
      for (const length of reads) assert(length !== undefined && length >= 1000, `${length}`);
    });

    test("stores under many keys at once", async () => {
      const store = await openStore(onTestFinished);
      const names = Array.from({ length: 50 }, (_, index) => `value ${index}`);
      await Promise.all(names.map((each) => store.store(layerKey(each), bytesOf(each))));
      for (const each of names) {
        expect(Buffer.from((await store.lookup(layerKey(each))) ?? []).toString()).toBe(each);
      }
    });
  });
}
