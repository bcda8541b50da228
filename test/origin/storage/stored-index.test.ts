// A package index at rest: what was stored comes back, and nothing that was changed or is not whole does.

import { gzipSync } from "node:zlib";
import { expect, onTestFinished, test } from "vitest";
import { storeRoot } from "../../../origin/package-index/stored-root.ts";
import { openFilesystemStore } from "../../../origin/storage/filesystem.ts";
import { storageKey } from "../../../origin/storage/keys.ts";
import {
  isWholeSlice,
  lookUpIndexObject,
  lookUpIndexRoot,
  storeIndexObject,
} from "../../../origin/storage/stored-index.ts";
import { storedJson } from "../../../origin/storage/stored-json.ts";
import { digestOf } from "../../../registry/naming/digest.ts";
import { MAX_OBJECT_BYTES } from "../../../registry/package-index/bodies.ts";
import { makeIndex } from "../../../registry/package-index/make-index.ts";
import { bytesOf } from "../../contract/blob-store.ts";
import { defined, pinOf } from "../../registry/fixture.ts";
import { madeUpSet } from "../../registry/package-index/made-up-set.ts";
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

test("a root comes back as it was stored", async () => {
  const store = await open();
  const { root } = await makeIndex({
    ...{ pin: pinOf("a".repeat(40)), system: "x86_64-linux", isComplete: true, madeAtMs: 1 },
    ...{ images: [], sets: [], entries: madeUpSet(200).entries },
  });
  await storeRoot(store, { root, askedBy: "a test" });
  expect(await lookUpIndexRoot(store, root.pin, root.system)).toStrictEqual(root);
  expect(await lookUpIndexRoot(store, root.pin, "aarch64-linux")).toBeUndefined();
});

test.for([
  ["gzip", gzipSync("a slice"), true],
  ["gzip without its end", gzipSync("a slice").subarray(0, -1), false],
  ["JSON", storedJson({ id: "who makes it" }), true],
  ["anything else", bytesOf("a slice"), false],
] as const)("of slices %s is told from what is damaged", async ([, bytes, isWhole]) => {
  expect(await isWholeSlice(bytes)).toBe(isWhole);
});
