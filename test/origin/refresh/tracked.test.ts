// Which images count as pulled lately, and for how long that is remembered.

import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { openTracked, type Tracked } from "../../../origin/refresh/tracked.ts";
import type { BlobStore } from "../../../origin/storage/blob-store.ts";
import { openFilesystemStore } from "../../../origin/storage/filesystem.ts";
import { storageKey } from "../../../origin/storage/keys.ts";
import { parsePin } from "../../../registry/naming/pin.ts";
import { isImplicit } from "../../../registry/naming/recipe.ts";
import { parseTag } from "../../../registry/naming/reference.ts";
import { recipeOf } from "../../registry/fixture.ts";
import { readableLog, temporaryDirectory } from "../fixture.ts";

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

async function shelf(t: TestContext) {
  const store = await openFilesystemStore(await temporaryDirectory(t));
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
  test("is one that was pulled by the tag, the last pulled first", async (t) => {
    const tracked = await (await shelf(t)).open();
    for (const name of ["a", "b", "c", "a"]) tracked.pulled(image(name), one);
    assert.deepEqual(namesIn(tracked), ["a", "c", "b"]);
    assert.deepEqual(tracked.of(must(parseTag("other"))), []);
  });

  test("is forgotten after its days", async (t) => {
    const { open, clock } = await shelf(t);
    const tracked = await open();
    tracked.pulled(image("a"), one);
    clock.ms += 4 * DAY_MS;
    tracked.pulled(image("b"), one);
    clock.ms += 3 * DAY_MS;
    assert.deepEqual(namesIn(tracked), ["b"]);
  });

  test("stays while it is pulled", async (t) => {
    const { open, clock } = await shelf(t);
    const tracked = await open();
    for (let day = 0; day < 20; day++) {
      tracked.pulled(image("a"), one);
      clock.ms += DAY_MS;
    }
    assert.deepEqual(namesIn(tracked), ["a"]);
  });

  test("is not kept alive by being made, but is known at the pin it was made at", async (t) => {
    const { open, clock } = await shelf(t);
    const tracked = await open();
    tracked.pulled(image("a"), one);
    clock.ms += 6 * DAY_MS;
    tracked.made(image("a"), other);
    tracked.made(image("never-pulled"), other);
    assert.deepEqual(
      tracked.of(tag).map(({ pin }) => pin),
      [other],
    );
    clock.ms += DAY_MS;
    assert.deepEqual(namesIn(tracked), []);
  });

  test("is one of a thousand at most", async (t) => {
    const tracked = await (await shelf(t)).open();
    for (let index = 0; index < 1003; index++) tracked.pulled(image(`p${index}`), one);
    const names = namesIn(tracked);
    assert.equal(names.length, 1000);
    assert(!names.includes("p2"), "the oldest made room");
    assert(names.includes("p3"));
  });
});

describe("the notes", () => {
  test("outlive the process, in their order", async (t) => {
    const { open } = await shelf(t);
    const tracked = await open();
    for (const name of ["a", "b", "arm64/c"]) tracked.pulled(image(name), one);
    const before = tracked.of(tag);
    await tracked.close();
    assert.deepEqual((await open()).of(tag), before);
  });

  test("are written once for many pulls, and not again within the hour", async (t) => {
    const { open, writes, clock } = await shelf(t);
    const tracked = await open();
    for (let pull = 0; pull < 50; pull++) tracked.pulled(image(`p${pull % 5}`), one);
    await tracked.close();
    assert.equal(writes(), 1);
    clock.ms += 3_000_000;
    tracked.pulled(image("p1"), one);
    await tracked.close();
    assert.equal(writes(), 1);
    clock.ms += 3_000_000;
    tracked.pulled(image("p1"), one);
    await tracked.close();
    assert.equal(writes(), 2);
  });

  test("of one package source are nothing to another", async (t) => {
    const { open } = await shelf(t);
    const tracked = await open();
    tracked.pulled(image("a"), one);
    await tracked.close();
    assert.deepEqual(namesIn(await open("another source")), []);
  });

  test("that cannot be read count as none", async (t) => {
    const { open, store } = await shelf(t);
    await store.store(storageKey.tracked("a source"), Buffer.from('[{"recipe":'));
    assert.deepEqual(namesIn(await open()), []);
  });

  test("are not taken where nothing is tracked", async (t) => {
    const { open, writes } = await shelf(t);
    const tracked = await open("a source", 0);
    tracked.pulled(image("a"), one);
    await tracked.close();
    assert.deepEqual(namesIn(tracked), []);
    assert.equal(writes(), 0);
  });
});
