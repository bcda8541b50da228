// What origins that share a storage keep apart.

import { describe, expect, onTestFinished, test } from "vitest";
import { divideStore } from "../../../origin/storage/divided.ts";
import { openFilesystemStore } from "../../../origin/storage/filesystem.ts";
import { COLLECTIONS, listedKey } from "../../../origin/storage/keys.ts";
import { bytesOf, listed, testBlobStore } from "../../contract/blob-store.ts";
import { temporaryDirectory } from "../fixture.ts";

const OWN = ["tracked", "outbox", "pushed"];

describe("a divided storage", () => {
  test.for(COLLECTIONS)("keeps %s/ where it belongs", async (collection) => {
    const open = async () => openFilesystemStore(await temporaryDirectory(onTestFinished));
    const [own, shared] = [await open(), await open()];
    const store = divideStore(own, shared);
    const [place, other] = OWN.includes(collection) ? [own, shared] : [shared, own];
    const key = listedKey(`${collection}/x`);
    for (const way of ["store", "remember", "create"] as const) {
      await store[way](key, bytesOf(way));
      for (const each of [place, store]) {
        expect(Buffer.from((await each.lookup(key)) ?? []).toString()).toBe(way);
        expect(await each.sizeBytes(key)).toBe(way.length);
        expect(await listed(each, `${collection}/`)).toMatchObject([{ key }]);
      }
      expect(await other.sizeBytes(key)).toBeUndefined();
      await store.remove(key);
      expect(await place.sizeBytes(key)).toBeUndefined();
    }
  });
});

testBlobStore("a divided storage", async (onEnd) => {
  const shared = await temporaryDirectory(onEnd);
  const own = await temporaryDirectory(onEnd);
  return async () => divideStore(await openFilesystemStore(own), await openFilesystemStore(shared));
});
