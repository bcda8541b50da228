// What every storage of the origin must do. A new one passes this, opened on a real place of its own.

import { createHash } from "node:crypto";
import { open, readFile } from "node:fs/promises";
import { assert, describe, expect, onTestFinished, test } from "vitest";
import type { BlobStore, StoredValue } from "../../origin/storage/blob-store.ts";
import {
  listedKey,
  type StorageKey,
  type StoragePrefix,
  storageKey,
} from "../../origin/storage/keys.ts";
import type { Ending } from "../origin/fixture.ts";
import { digestOfText, tagOf } from "../registry/fixture.ts";

/** A new, empty place, which is gone after the test, and who opens a store on it as an origin does. */
export type MakePlace = (onEnd: Ending) => Promise<() => Promise<BlobStore>>;

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

/** All that a store lists. */
export async function listed(
  store: Pick<BlobStore, "list">,
  prefix: StoragePrefix,
  after?: StorageKey,
): Promise<readonly StoredValue[]> {
  const values: StoredValue[] = [];
  for await (const value of store.list(prefix, after)) values.push(value);
  return values;
}

async function keysOf(
  store: BlobStore,
  prefix: StoragePrefix,
  after?: StorageKey,
): Promise<readonly StorageKey[]> {
  return (await listed(store, prefix, after)).map(({ key }) => key);
}

async function textOf(store: BlobStore, key: StorageKey): Promise<string> {
  return Buffer.from((await store.lookup(key)) ?? []).toString();
}

export function testBlobStore(name: string, makePlace: MakePlace): void {
  const openStore = async (onEnd: Ending) => (await makePlace(onEnd))();

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

    test("has nothing of a file that could not be taken over, and keeps what was there", async () => {
      const store = await openStore(onTestFinished);
      await expect(store.storeFile(layerKey("x"), store.stagingPath())).rejects.toThrow();
      expect(await store.sizeBytes(layerKey("x"))).toBeUndefined();
      await store.store(layerKey("x"), bytesOf("before"));
      await expect(store.storeFile(layerKey("x"), store.stagingPath())).rejects.toThrow();
      expect(await textOf(store, layerKey("x"))).toBe("before");
      expect(await keysOf(store, "layers/")).toStrictEqual([layerKey("x")]);
    });

    test("creates what is not there, and leaves what is", async () => {
      const store = await openStore(onTestFinished);
      expect(await store.create(layerKey("x"), bytesOf("first"))).toBe(true);
      expect(await store.create(layerKey("x"), bytesOf("second"))).toBe(false);
      expect(await textOf(store, layerKey("x"))).toBe("first");
      await store.remove(layerKey("x"));
      expect(await store.create(layerKey("x"), bytesOf("third"))).toBe(true);
      expect(await textOf(store, layerKey("x"))).toBe("third");
    });

    test("has one of several origins that create a value at once create it", async () => {
      const open = await makePlace(onTestFinished);
      const stores = await Promise.all([open(), open(), open()]);
      for (let round = 0; round < 5; round++) {
        const key = layerKey(`round ${round}`);
        const texts = stores.flatMap((_, place) => [`${place} a`, `${place} b`]);
        const created = await Promise.all(
          texts.map((text, place) => stores[place >> 1]?.create(key, bytesOf(text))),
        );
        expect(created.filter((each) => each)).toHaveLength(1);
        for (const store of stores) {
          expect(await textOf(store, key)).toBe(texts[created.indexOf(true)]);
        }
      }
    });

    test("ends with one value when several origins take the same file over at once", async () => {
      const open = await makePlace(onTestFinished);
      const stores = await Promise.all([open(), open(), open()]);
      const bytes = patternOf(LARGE_SIZE_BYTES);
      const paths = await Promise.all(stores.map((store) => stage(store, bytes)));
      await Promise.all(
        stores.map((store, place) => store.storeFile(layerKey("x"), paths[place] ?? "")),
      );
      for (const [place, store] of stores.entries()) {
        expect((await streamed(await store.open(layerKey("x"), null))).equals(bytes)).toBe(true);
        await expect(readFile(paths[place] ?? "")).rejects.toMatchObject({ code: "ENOENT" });
      }
      assert(stores[0] !== undefined);
      expect(await listed(stores[0], "layers/")).toMatchObject([
        { key: layerKey("x"), sizeBytes: bytes.length },
      ]);
    });

    test("shows one origin what another has stored, and no more of what it removed", async () => {
      const open = await makePlace(onTestFinished);
      const [one, other] = [await open(), await open()];
      await one.storeFile(layerKey("x"), await stage(one, bytesOf("a value")));
      expect(await textOf(other, layerKey("x"))).toBe("a value");
      await other.remove(layerKey("x"));
      expect(await one.sizeBytes(layerKey("x"))).toBeUndefined();
      expect(await one.lookup(layerKey("x"))).toBeUndefined();
      expect(await keysOf(one, "layers/")).toStrictEqual([]);
    });

    const parts: readonly [offset: number, length: number][] = [
      [0, 100_000],
      [0, LARGE_SIZE_BYTES],
      [LARGE_SIZE_BYTES - 100_007, 100_007],
      [1_000_001, 2_000_000],
    ];
    test("has parts of a value in files of this machine", async () => {
      const open = await makePlace(onTestFinished);
      const [one, other] = [await open(), await open()];
      const bytes = patternOf(LARGE_SIZE_BYTES);
      await one.storeFile(layerKey("large"), await stage(one, bytes));
      for (const [offset, length] of parts) {
        const part = await other.localPart(layerKey("large"), { offset, length });
        assert(part !== undefined);
        const file = await readFile(part.path);
        const there = file.subarray(part.offsetBytes, part.offsetBytes + length);
        expect(there.equals(bytes.subarray(offset, offset + length)), `${offset}`).toBe(true);
      }
      const whole = await other.localPart(layerKey("large"), null);
      expect(whole?.offsetBytes).toBe(0);
      expect((await readFile(whole?.path ?? "")).equals(bytes)).toBe(true);
      for (const range of [null, { offset: 0, length: 1 }]) {
        expect(await other.localPart(layerKey("absent"), range)).toBeUndefined();
      }
    });

    test("lists what is in a collection, in order, and nothing else", async () => {
      const store = await openStore(onTestFinished);
      expect(await keysOf(store, "outbox/")).toStrictEqual([]);
      const keys = ["a", "b", "c"].map((tag) => storageKey.outbox("git", tagOf(tag), "oci-gzip"));
      for (const key of keys) await store.store(key, bytesOf(key));
      await store.store(layerKey("a"), bytesOf("no entry"));
      expect(await keysOf(store, "outbox/")).toStrictEqual(keys.toSorted());
      for (const { key, sizeBytes, storedAtMs } of await listed(store, "outbox/")) {
        expect(await textOf(store, key)).toBe(key);
        expect(sizeBytes).toBe(key.length);
        expect(Number.isFinite(storedAtMs)).toBe(true);
      }
    });

    // As their bytes are: a folder's name counts with the slash behind it.
    const nested = ["a-1/x", "a.1/x", "a.1/y", "a/b/c", "a/b0", "a/x", "a0/x", "b"];
    test("lists what lies deeper in the order of whole keys, whenever it was stored", async () => {
      const store = await openStore(onTestFinished);
      const keys = nested.map((each) => listedKey(`records/${each}`));
      for (const key of keys.toReversed()) await store.remember(key, bytesOf("x"));
      await store.remember(listedKey("lookups/a/x"), bytesOf("x"));
      expect(await keysOf(store, "records/")).toStrictEqual(keys);
      for (const [place, key] of keys.entries()) {
        expect(await keysOf(store, "records/", key), key).toStrictEqual(keys.slice(place + 1));
      }
      const behind: readonly [after: string, left: number][] = [
        ["", 8],
        ["a", 8],
        ["a.1", 7],
        ["a.1/", 7],
        ["a/", 5],
        ["a/b/d", 4],
        ["a/y", 2],
        ["c", 0],
      ];
      for (const [after, left] of behind) {
        const found = await keysOf(store, "records/", listedKey(`records/${after}`));
        expect(found, after).toStrictEqual(keys.slice(keys.length - left));
      }
    });

    test("lists page after page, while others are stored and removed", async () => {
      const store = await openStore(onTestFinished);
      const all = Array.from({ length: 150 }, (_, index) => layerKey(`${index}`)).sort();
      await Promise.all(all.map((key) => store.remember(key, bytesOf(key))));
      const kept = all.filter((_, index) => index % 3 !== 0);
      const seen: StorageKey[] = [];
      for await (const { key } of store.list("layers/")) {
        if (seen.push(key) === 1) {
          await Promise.all(all.filter((each) => !kept.includes(each)).map(store.remove));
          await store.store(storageKey.manifest(digestOfText("new")), bytesOf("new"));
        }
      }
      expect(seen.filter((key) => kept.includes(key))).toStrictEqual(kept);
      expect(seen.filter((key, index) => seen.indexOf(key) !== index)).toStrictEqual([]);
      expect(await keysOf(store, "layers/")).toStrictEqual(kept);
    });

    test("lists no further than it is read", async () => {
      const store = await openStore(onTestFinished);
      for (const name of ["a", "b", "c"]) await store.remember(layerKey(name), bytesOf(name));
      for await (const { key } of store.list("layers/")) {
        expect(key).toBe(["a", "b", "c"].map(layerKey).sort()[0]);
        break;
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
        expect(await keysOf(store, "outbox/")).toStrictEqual([]);
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
