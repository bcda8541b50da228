// Small values written behind urgent work: known at once, written when there is time, and bounded.

import { describe, expect, onTestFinished, test } from "vitest";
import { openFilesystemStore } from "../../../origin/storage/filesystem.ts";
import type { StorageKey } from "../../../origin/storage/keys.ts";
import { createWriteBehind, MAX_PENDING_BYTES } from "../../../origin/storage/write-behind.ts";
import { bytesOf, layerKey } from "../../contract/blob-store.ts";
import { type Ending, readableLog, temporaryDirectory } from "../fixture.ts";

function textOf(bytes: Uint8Array | undefined): string {
  return bytes === undefined ? "nothing" : Buffer.from(bytes).toString();
}

async function prepare(onEnd: Ending) {
  const store = await openFilesystemStore(await temporaryDirectory(onEnd));
  const { log, lines } = readableLog();
  const written: StorageKey[] = [];
  let failing: StorageKey | undefined;
  const watched = {
    lookup: store.lookup,
    remember: async (key: StorageKey, bytes: Uint8Array) => {
      if (key === failing) throw new Error("the disk is full");
      await store.remember(key, bytes);
      written.push(key);
    },
  };
  const notes = createWriteBehind(watched, log);
  return {
    ...{ store, notes, written, lines },
    /** As long as writing a few values takes. */
    pause: async () => {
      for (const name of ["one", "two", "three", "four", "five"]) {
        await store.store(layerKey(name), bytesOf(name));
      }
    },
    text: async (key: StorageKey) => textOf(await notes.lookup(key)),
    stored: async (key: StorageKey) => textOf(await store.lookup(key)),
    fail: (key: StorageKey) => {
      failing = key;
    },
  };
}

const [A, B] = [layerKey("a"), layerKey("b")];

describe("a value written behind", () => {
  test("is known at once, and written when no urgent work is left", async () => {
    const { notes, text, stored, written, pause } = await prepare(onTestFinished);
    const gate = Promise.withResolvers<void>();
    const urgent = [1, 2].map(() => notes.during(() => gate.promise));
    notes.remember(A, bytesOf("a"));
    expect(await text(A)).toBe("a");
    await pause();
    expect(await stored(A)).toBe("nothing");
    gate.resolve();
    await Promise.all(urgent);
    await notes.close();
    expect(await stored(A)).toBe("a");
    expect(await text(A)).toBe("a");
    expect(written).toStrictEqual([A]);
  });

  test("waits for all urgent work, also for what failed", async () => {
    const { notes, stored, pause } = await prepare(onTestFinished);
    const gate = Promise.withResolvers<void>();
    const open = notes.during(() => gate.promise);
    notes.remember(A, bytesOf("a"));
    await expect(notes.during(() => Promise.reject(new Error("failed")))).rejects.toThrow(/failed/);
    await pause();
    expect(await stored(A)).toBe("nothing");
    gate.reject(new Error("failed too"));
    await expect(open).rejects.toThrow(/failed too/);
    await notes.close();
    expect(await stored(A)).toBe("a");
  });

  test("gives way to a newer one of its key", async () => {
    const { notes, text, stored } = await prepare(onTestFinished);
    for (const value of ["first", "second", "third"]) notes.remember(A, bytesOf(value));
    expect(await text(A)).toBe("third");
    await notes.close();
    expect(await stored(A)).toBe("third");
  });

  test("is written with others beside it, and a newer one of its key behind it", async () => {
    const begun: string[] = [];
    const ends: (() => void)[] = [];
    const slow = {
      lookup: async () => undefined,
      async remember(_: StorageKey, bytes: Uint8Array) {
        begun.push(textOf(bytes));
        await new Promise<void>((resolve) => ends.push(resolve));
      },
    };
    const notes = createWriteBehind(slow, readableLog().log);
    const gate = Promise.withResolvers<void>();
    const urgent = notes.during(() => gate.promise);
    const others = Array.from({ length: 9 }, (_, index) => `other ${index}`);
    for (const text of ["older", ...others]) {
      notes.remember(text === "older" ? A : layerKey(text), bytesOf(text));
    }
    gate.resolve();
    await urgent;
    expect(begun).toStrictEqual(["older", ...others.slice(0, 7)]);
    notes.remember(A, bytesOf("newer"));
    const closed = notes.close();
    // All but the first, which a newer one must not overtake.
    while (ends.length > 1) {
      ends.pop()?.();
      await new Promise(setImmediate);
    }
    expect(begun).toStrictEqual(["older", ...others]);
    ends.pop()?.();
    while (ends.length === 0) await new Promise(setImmediate);
    ends.pop()?.();
    await closed;
    expect(begun).toStrictEqual(["older", ...others, "newer"]);
  });

  test("is written under urgent work too where much has gathered", async () => {
    const { notes, written } = await prepare(onTestFinished);
    const gate = Promise.withResolvers<void>();
    const urgent = notes.during(() => gate.promise);
    const half = new Uint8Array(MAX_PENDING_BYTES / 2);
    notes.remember(A, half);
    notes.remember(A, half);
    // Twice the same key is one value, so this is the first that is too much.
    notes.remember(B, new Uint8Array(half.length + 1));
    while (written.length === 0) await new Promise(setImmediate);
    expect(written).toStrictEqual([A]);
    gate.resolve();
    await urgent;
    await notes.close();
    expect(written).toStrictEqual([A, B]);
  });

  test("that cannot be written is forgotten and told, and keeps no other from it", async () => {
    const { notes, text, stored, fail, lines } = await prepare(onTestFinished);
    fail(A);
    notes.remember(A, bytesOf("a"));
    notes.remember(B, bytesOf("b"));
    await notes.close();
    expect(await text(A)).toBe("nothing");
    expect(await stored(B)).toBe("b");
    expect(lines.map(({ msg }) => msg)).toStrictEqual([
      "what can be found out again was not written",
    ]);
  });
});
