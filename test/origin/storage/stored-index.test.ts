// A package index at rest: what was stored comes back, and nothing that was changed or is not whole does.

import { expect, onTestFinished, test } from "vitest";
import { openFilesystemStore } from "../../../origin/storage/filesystem.ts";
import { storageKey } from "../../../origin/storage/keys.ts";
import {
  lookUpIndexObject,
  lookUpIndexRoot,
  storeIndexObject,
  storeIndexRoot,
} from "../../../origin/storage/stored-index.ts";
import { digestOf } from "../../../registry/naming/digest.ts";
import { MAX_OBJECT_BYTES } from "../../../registry/package-index/bodies.ts";
import type { IndexRoot } from "../../../registry/package-index/root.ts";
import { bytesOf } from "../../contract/blob-store.ts";
import { defined, digestOfText, pinOf } from "../../registry/fixture.ts";
import { temporaryDirectory } from "../fixture.ts";

const open = async () => openFilesystemStore(await temporaryDirectory(onTestFinished));
const BYTES = bytesOf("what is in an object ".repeat(1000));

test("an object is kept compressed, under the digest of what is in it", async () => {
  const store = await open();
  const { digest, sizeBytes } = await storeIndexObject(store, BYTES);
  expect(digest).toBe(await digestOf(BYTES));
  expect(sizeBytes).toBe(BYTES.length);
  expect(await store.sizeBytes(storageKey.indexObject(digest))).toBeLessThan(BYTES.length / 10);
  const bytes = defined(await lookUpIndexObject(store, digest), "it");
  expect(Buffer.from(bytes).equals(BYTES)).toBe(true);
});

test("an object of which any byte was changed counts as absent, until it is stored again", async () => {
  const store = await open();
  const { digest } = await storeIndexObject(store, bytesOf("a name"));
  const key = storageKey.indexObject(digest);
  const packed = defined(await store.lookup(key), "it");
  // Of gzip's header the time, the flags and the system say nothing of the bytes.
  for (let at = 10; at < packed.length; at += 1) {
    const changed = Uint8Array.from(packed);
    changed[at] = (changed[at] ?? 0) ^ 1;
    await store.store(key, changed);
    expect(await lookUpIndexObject(store, digest), `byte ${at}`).toBeUndefined();
  }
  await store.store(key, packed.subarray(0, -1));
  expect(await lookUpIndexObject(store, digest)).toBeUndefined();
  await storeIndexObject(store, bytesOf("a name"));
  expect(await lookUpIndexObject(store, digest)).toBeDefined();
});

test("a few bytes that unpack to more than an object may hold count as absent", async () => {
  const store = await open();
  const { digest } = await storeIndexObject(store, new Uint8Array(MAX_OBJECT_BYTES));
  expect(await lookUpIndexObject(store, digest)).toHaveLength(MAX_OBJECT_BYTES);
  const larger = new Uint8Array(MAX_OBJECT_BYTES + 1);
  await expect(storeIndexObject(store, larger)).rejects.toThrow("bytes");
});

test("a root is stored when all its objects are, and else says which are not", async () => {
  const store = await open();
  const [names, texts] = [await storeIndexObject(store, BYTES), digestOfText("texts")];
  const system = "x86_64-linux";
  const pin = pinOf("a".repeat(40));
  const root: IndexRoot = {
    ...{ pin, system, isComplete: true, madeAtMs: 1, count: 1, images: [], sets: [] },
    ...{ names, shards: [{ from: "", ...names }], texts: { digest: texts, sizeBytes: 5 } },
  };
  expect(await storeIndexRoot(store, root)).toStrictEqual([texts]);
  expect(await lookUpIndexRoot(store, pin, system)).toBeUndefined();
  await storeIndexObject(store, bytesOf("texts"));
  expect(await storeIndexRoot(store, root)).toStrictEqual([]);
  expect(await lookUpIndexRoot(store, pin, system)).toStrictEqual(root);
  expect(await lookUpIndexRoot(store, pin, "aarch64-linux")).toBeUndefined();
});
