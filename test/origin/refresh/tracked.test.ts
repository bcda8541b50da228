// Which images count as pulled lately, and for how long that is remembered.

import { assert, describe, expect, onTestFinished, test } from "vitest";
import { openTracked, type Tracked } from "../../../origin/refresh/tracked.ts";
import type { BlobStore } from "../../../origin/storage/blob-store.ts";
import { openFilesystemStore } from "../../../origin/storage/filesystem.ts";
import { storageKey } from "../../../origin/storage/keys.ts";
import { parsePin } from "../../../registry/naming/pin.ts";
import { isImplicit } from "../../../registry/naming/recipe.ts";
import { parseTag } from "../../../registry/naming/reference.ts";
import { recipeOf } from "../../registry/fixture.ts";
import { type Ending, readableLog, temporaryDirectory } from "../fixture.ts";

const DAY_MS = 86_400_000;

function must<T>(value: T | undefined): T {
  assert(value !== undefined);
  return value;
}

const tag = must(parseTag("latest"));
const [one, other] = ["1", "2"].map((digit) => must(parsePin(digit.repeat(40)))) as [never, never];

function image(name: string) {
  return { recipe: recipeOf(name), tag, variant: "oci-zstd" as const };
}

async function shelf(onEnd: Ending) {
  const store = await openFilesystemStore(await temporaryDirectory(onEnd));
  let writes = 0;
  const counted: BlobStore = {
    ...store,
    remember(key, bytes) {
      writes += 1;
      return store.remember(key, bytes);
    },
  };
  const clock = { ms: 1_000_000 };
  const { log } = readableLog();
  return {
    store,
    clock,
    writes: () => writes,
    open: (sourceId = "a source", keepMs = 7 * DAY_MS) =>
      openTracked({ store: counted, sourceId, keepMs, now: () => clock.ms, log }),
  };
}

const namesIn = (tracked: Tracked) =>
  tracked
    .of(tag)
    .map(({ recipe }) => recipe.packages.filter((name) => !isImplicit(name)).join("/"));

describe("a tracked image", () => {
  test("is one that was pulled by the tag, the last pulled first", async () => {
    const tracked = await (await shelf(onTestFinished)).open();
    for (const name of ["a", "b", "c", "a"]) tracked.pulled(image(name), one, false);
    expect(namesIn(tracked)).toStrictEqual(["a", "c", "b"]);
    expect(tracked.of(must(parseTag("other")))).toStrictEqual([]);
  });

  test("is forgotten after its days", async () => {
    const { open, clock } = await shelf(onTestFinished);
    const tracked = await open();
    tracked.pulled(image("a"), one, false);
    clock.ms += 4 * DAY_MS;
    tracked.pulled(image("b"), one, false);
    clock.ms += 3 * DAY_MS;
    expect(namesIn(tracked)).toStrictEqual(["b"]);
  });

  test("stays while it is pulled", async () => {
    const { open, clock } = await shelf(onTestFinished);
    const tracked = await open();
    for (let day = 0; day < 20; day++) {
      tracked.pulled(image("a"), one, false);
      clock.ms += DAY_MS;
    }
    expect(namesIn(tracked)).toStrictEqual(["a"]);
  });

  test("is not kept alive by being made, but is known at the pin it was made at", async () => {
    const { open, clock } = await shelf(onTestFinished);
    const tracked = await open();
    tracked.pulled(image("a"), one, false);
    clock.ms += 6 * DAY_MS;
    tracked.made(image("a"), other);
    tracked.made(image("never-pulled"), other);
    expect(tracked.of(tag).map(({ pin }) => pin)).toStrictEqual([other]);
    clock.ms += DAY_MS;
    expect(namesIn(tracked)).toStrictEqual([]);
  });

  test("is one of a thousand at most", async () => {
    const tracked = await (await shelf(onTestFinished)).open();
    for (let index = 0; index < 1003; index++) tracked.pulled(image(`p${index}`), one, false);
    const names = namesIn(tracked);
    expect(names).toHaveLength(1000);
    expect(names, "the oldest made room").not.toContain("p2");
    expect(names).toContain("p3");
  });
});

describe("the notes", () => {
  test("outlive the process, in their order", async () => {
    const { open } = await shelf(onTestFinished);
    const tracked = await open();
    for (const name of ["a", "b", "arm64/c", "fhs/nonroot/a"]) {
      tracked.pulled(image(name), one, false);
    }
    const before = tracked.of(tag);
    await tracked.close();
    expect((await open()).of(tag)).toStrictEqual(before);
    expect(before).toHaveLength(4);
  });

  test("are written once for many pulls, and not again within the hour", async () => {
    const { open, writes, clock } = await shelf(onTestFinished);
    const tracked = await open();
    for (let pull = 0; pull < 50; pull++) tracked.pulled(image(`p${pull % 5}`), one, false);
    await tracked.close();
    expect(writes()).toBe(1);
    clock.ms += 3_000_000;
    tracked.pulled(image("p1"), one, false);
    await tracked.close();
    expect(writes()).toBe(1);
    clock.ms += 3_000_000;
    tracked.pulled(image("p1"), one, false);
    await tracked.close();
    expect(writes()).toBe(2);
  });

  test("of one package source are nothing to another", async () => {
    const { open } = await shelf(onTestFinished);
    const tracked = await open();
    tracked.pulled(image("a"), one, false);
    await tracked.close();
    expect(namesIn(await open("another source"))).toStrictEqual([]);
  });

  test("that cannot be read count as none", async () => {
    const { open, store } = await shelf(onTestFinished);
    await store.store(storageKey.tracked("a source"), Buffer.from('[{"recipe":'));
    expect(namesIn(await open())).toStrictEqual([]);
  });

  test("are not taken where nothing is tracked", async () => {
    const { open, writes } = await shelf(onTestFinished);
    const tracked = await open("a source", 0);
    tracked.pulled(image("a"), one, false);
    await tracked.close();
    expect(namesIn(tracked)).toStrictEqual([]);
    expect(writes()).toBe(0);
  });
});
