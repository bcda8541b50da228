import { utimes } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { removeOld } from "../../../origin/package-index/remove-old.ts";
import { storeRoot } from "../../../origin/package-index/stored-root.ts";
import { openFilesystemStore } from "../../../origin/storage/filesystem.ts";
import { storageKey } from "../../../origin/storage/keys.ts";
import { storeIndexObject } from "../../../origin/storage/stored-index.ts";
import { storedJson } from "../../../origin/storage/stored-json.ts";
import type { Pin } from "../../../registry/naming/pin.ts";
import { makeIndex } from "../../../registry/package-index/make-index.ts";
import { foundOf, pinOf, tagOf } from "../../registry/fixture.ts";
import { temporaryDirectory } from "../fixture.ts";

const DAY_MS = 86_400_000;
const NOW_MS = 100 * DAY_MS;
const SYSTEM = "x86_64-linux";

describe("removeOld", () => {
  test("takes indexes that no tag has, but for the last, and what no other is made of", async () => {
    const path = await temporaryDirectory(onTestFinished);
    const store = await openFilesystemStore(path);
    const age = async (key: string, days: number) => {
      const seconds = (NOW_MS - days * DAY_MS) / 1000;
      await utimes(join(path, key), seconds, seconds);
    };
    const put = async (pin: Pin, names: readonly string[], days: number) => {
      const { root, objects } = await makeIndex({
        ...{ pin, system: SYSTEM, isComplete: true, madeAtMs: 0, images: [], sets: [] },
        entries: names.map((attribute) => ({ attribute, said: foundOf(`${attribute}-1`) })),
      });
      for (const { bytes } of objects) await storeIndexObject(store, bytes);
      await storeRoot(store, { root, askedBy: "a test" });
      await age(storageKey.index(pin, SYSTEM), days);
      for (const { digest } of objects) await age(storageKey.indexObject(digest), days);
      return objects.map(({ digest }) => storageKey.indexObject(digest));
    };
    const at = (digit: string) => pinOf(digit.repeat(40));
    await put(at("a"), ["oldest"], 40);
    await put(at("b"), ["earlier"], 30);
    const kept = [
      // The last of no tag.
      ...(await put(at("e"), ["last"], 0.5)),
      ...(await put(at("c"), ["own"], 20)),
      ...(await put(pinOf(`${at("d")}+0123456789abcdef`), ["remembered"], 20)),
    ];
    // Of an index that is being stored meanwhile, or by a clock that is ahead.
    const meanwhile = await storeIndexObject(store, Buffer.from("of no root yet"));
    kept.push(storageKey.indexObject(meanwhile.digest));
    await age(storageKey.indexObject(meanwhile.digest), -0.001);
    const pinned = {
      pin: at("d"),
      resolvedAtMs: 0,
      source: { kind: "path", path: "/", narHash: "" },
    };
    await store.store(storageKey.pin("source", tagOf("latest")), storedJson(pinned));

    const removed = await removeOld({
      ...{ store, own: new Set([at("c")]), nowMs: NOW_MS, atEdge: null },
    });
    expect(removed).toStrictEqual({ roots: 2, objects: 6 });
    const left: string[] = [];
    for await (const { key } of store.list("index-objects/")) left.push(key);
    expect(left).toStrictEqual(kept.toSorted());
  });
});
