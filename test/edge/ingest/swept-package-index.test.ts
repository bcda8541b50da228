// The life of package indexes at an origin and its edge: which stay when a tag moves, what a check finds, and
// what a repair leaves.

import { afterAll, assert, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import type { EdgeClient } from "../../../origin/backfill/edge-client.ts";
import type { PackageIndexEntry } from "../../../origin/backfill/entry.ts";
import { createPusher } from "../../../origin/backfill/push.ts";
import { pushPackageIndex } from "../../../origin/backfill/push-package-index.ts";
import { checkStorage } from "../../../origin/fsck/check.ts";
import { lookAtEdge } from "../../../origin/fsck/look.ts";
import { repairStorage } from "../../../origin/fsck/repair.ts";
import { type Collected, collect } from "../../../origin/gc/collect.ts";
import { DAY_MS } from "../../../origin/gc/rules.ts";
import { storeRoot } from "../../../origin/package-index/stored-root.ts";
import { createPullNotes } from "../../../origin/pulled/pull-notes.ts";
import { openPinMemory } from "../../../origin/sources/pin-memory.ts";
import type { BlobStore } from "../../../origin/storage/blob-store.ts";
import { openFilesystemStore } from "../../../origin/storage/filesystem.ts";
import { type StorageKey, storageKey } from "../../../origin/storage/keys.ts";
import { storeIndexObject } from "../../../origin/storage/stored-index.ts";
import { storedJson } from "../../../origin/storage/stored-json.ts";
import { type Digest, digestHex } from "../../../registry/naming/digest.ts";
import { configuredPin, type Pin } from "../../../registry/naming/pin.ts";
import type { MadeIndex } from "../../../registry/package-index/make-index.ts";
import { listed } from "../../contract/blob-store.ts";
import { PACKINGS } from "../../origin/backfill/fixture.ts";
import { type Ending, readableLog, temporaryDirectory } from "../../origin/fixture.ts";
import { defined, pinOf, tagOf } from "../../registry/fixture.ts";
import { madeUpSet } from "../../registry/package-index/made-up-set.ts";
import { NOW_MS } from "../controls.ts";
import { startWorld, type World } from "../world.ts";
import { edgeClientOf, emptyStores, storesOf } from "./from-origin.ts";
import { indexOf } from "./index-bodies.ts";

const SYSTEM = "x86_64-linux";
const { signal } = new AbortController();
/** A tag's, one after the other, each with a configuration. */
const PINS = ["1", "2", "3", "4"].map((digit) =>
  configuredPin(pinOf(digit.repeat(40)), "0123456789abcdef"),
);

let world: World;
let edge: EdgeClient;
let indexes: readonly MadeIndex[];

beforeAll(async () => {
  world = await startWorld();
  await world.origin.stop();
  edge = edgeClientOf(world, signal);
  const set = madeUpSet(600);
  indexes = await Promise.all(
    PINS.map((pin, place) => indexOf(pin, place === 0 ? set.entries : set.bumped(0.02, place))),
  );
});
afterAll(() => world.close());

interface Setting {
  readonly store: BlobStore;
  readonly clock: { aheadMs: number };
  /** Pins that tags have, of which nothing is noted. */
  readonly own: Set<Pin>;
  /** At an origin and its edge, which then let go of others. */
  keep(made: MadeIndex): Promise<void>;
  /** The same, but nothing follows on it. */
  place(made: MadeIndex): Promise<void>;
}

async function prepare(onEnd: Ending, edgeOf = edge): Promise<Setting> {
  await emptyStores(world);
  const store = await openFilesystemStore(await temporaryDirectory(onEnd));
  const { log } = readableLog();
  const remake = async () => ({ kind: "gone" }) as const;
  const clock = { aheadMs: 0 };
  const own = new Set<Pin>();
  const now = () => Date.now() + clock.aheadMs;
  const push = createPusher({
    store,
    edge: edgeOf,
    packings: PACKINGS,
    remake,
    ownPins: () => own,
    now,
    log,
  });
  return {
    ...{ store, clock, own },
    async keep(made) {
      expect(await push(await stored(store, made))).toMatchObject({ kind: "pushed" });
    },
    async place(made) {
      await pushPackageIndex({ store, edge, log }, await stored(store, made));
    },
  };
}

async function stored(store: BlobStore, { root, objects }: MadeIndex): Promise<PackageIndexEntry> {
  for (const { bytes } of objects) await storeIndexObject(store, bytes);
  await storeRoot(store, { root, askedBy: "a test" });
  const packageIndex = { system: root.system, madeAtMs: root.madeAtMs };
  return { packageIndex, pin: root.pin, tag: tagOf("latest"), resolvedAtMs: NOW_MS };
}

/** As the tag is resolved to one pin after the other. */
async function move(store: BlobStore, pins: readonly Pin[], source = "a source"): Promise<void> {
  for (const [place, pin] of pins.entries()) {
    // After each the origin starts anew.
    const memory = openPinMemory(store, source);
    await memory.lookup(tagOf("latest"));
    const commit = pin.slice(0, 40);
    const resolvedAtMs = Date.now() + 120_000 * place;
    await memory.store(tagOf("latest"), {
      ...{ kind: "pinned", pin: configuredPin(pin, ""), resolvedAtMs, immutable: false },
      source: { kind: "git", url: "/nowhere", commit },
    }).written;
  }
}

/** When all that was stored is older than the grace. */
function collectIn(store: BlobStore, afterMs = 2 * DAY_MS): Promise<Collected> {
  const limits = { keepMs: 30 * DAY_MS, graceMs: DAY_MS, maxBytes: null };
  return collect({
    ...{ store, edge, isDryRun: false, onSwept: () => {}, signal },
    rules: { ...limits, nowMs: Date.now() + afterMs },
  });
}

const keysOf = async (store: BlobStore, collection: "index" | "index-objects" | "pushed") =>
  (await listed(store, `${collection}/`)).map(({ key }) => key);

async function edgeKeys(folder: string): Promise<readonly string[]> {
  const [kv] = await storesOf(world);
  return (await kv.list({ prefix: folder })).keys.map(({ name }) => name);
}

const rootsOf = (...made: readonly MadeIndex[]) =>
  made.map(({ root }) => `${root.pin}/${root.system}`).sort();

const hexesOf = (...made: readonly MadeIndex[]) =>
  [
    ...new Set(made.flatMap(({ objects }) => objects.map(({ digest }) => digestHex(digest)))),
  ].sort();

async function expectKept(store: BlobStore, ...made: readonly MadeIndex[]): Promise<void> {
  const [roots, objects] = [rootsOf(...made), hexesOf(...made)];
  expect(await keysOf(store, "index")).toStrictEqual(roots.map((name) => `index/${name}`));
  expect(await edgeKeys("i/")).toStrictEqual(roots.map((name) => `i/${name}`));
  expect(await keysOf(store, "index-objects")).toStrictEqual(
    objects.map((hex) => `index-objects/${hex}`),
  );
  expect(await edgeKeys("x/")).toStrictEqual(objects.map((hex) => `x/${hex}`));
  expect(await keysOf(store, "pushed")).toHaveLength(objects.length);
}

async function checkOrigin(store: BlobStore) {
  return (await checkStorage({ store, reads: "everything", onChecked: () => {}, signal })).findings;
}

async function checkAtEdge(store: BlobStore | null = null) {
  const looked = await lookAtEdge({ edge, store, onChecked: () => {}, signal });
  assert(!("notTold" in looked), JSON.stringify(looked));
  return looked;
}

async function repairOrigin(store: BlobStore) {
  const check = () => checkStorage({ store, reads: "everything", onChecked: () => {}, signal });
  const { findings: found } = await check();
  return repairStorage({ store, found, remake: async () => {}, check });
}

async function damage(store: BlobStore, key: StorageKey): Promise<void> {
  const bytes = Uint8Array.from(defined(await store.lookup(key), key));
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
  await store.store(key, bytes);
}

const shardOf = ({ root }: MadeIndex, place = 0): Digest =>
  defined(root.shards[place], "it").digest;

describe("what follows on an index that the edge was given", () => {
  test("the indexes go that no tag has or had before, at both sides", async () => {
    const { store, keep, clock } = await prepare(onTestFinished);
    clock.aheadMs = 2 * DAY_MS;
    for (const [place, made] of indexes.entries()) {
      await move(store, PINS.slice(0, place + 1));
      await keep(made);
      await expectKept(store, ...indexes.slice(Math.max(0, place - 1), place + 1));
    }
    expect(await checkOrigin(store)).toStrictEqual([]);
    expect((await checkAtEdge()).findings).toStrictEqual([]);
  });

  test("what is young stays, which the next index may need", async () => {
    const { store, keep } = await prepare(onTestFinished);
    for (const [place, made] of indexes.entries()) {
      await move(store, PINS.slice(0, place + 1));
      await keep(made);
    }
    await expectKept(store, ...indexes);
  });

  test("an edge that does not let go is told again, and both sides are whole until then", async () => {
    let isRefusing = true;
    const refusing: EdgeClient = {
      ...edge,
      postRemovals: async (body) =>
        isRefusing
          ? { kind: "unreachable", message: "as the test says" }
          : await edge.postRemovals(body),
    };
    const { store, keep, clock } = await prepare(onTestFinished, refusing);
    clock.aheadMs = 2 * DAY_MS;
    const [first, second, third] = indexes;
    assert(first !== undefined && second !== undefined && third !== undefined);
    for (const made of [first, second]) {
      await move(store, PINS.slice(0, indexes.indexOf(made) + 1));
      await keep(made);
    }
    await move(store, PINS.slice(0, 3));
    await expect(keep(third)).rejects.toThrow();
    expect(await edgeKeys("i/")).toHaveLength(3);
    expect(await checkOrigin(store)).toStrictEqual([]);
    isRefusing = false;
    await keep(third);
    await expectKept(store, second, third);
  });

  test("those stay of tags that are commits, of which nothing is noted", async () => {
    const { store, keep, clock, own } = await prepare(onTestFinished);
    clock.aheadMs = 2 * DAY_MS;
    const [first, second, third] = indexes;
    assert(first !== undefined && second !== undefined && third !== undefined);
    own.add(first.root.pin);
    for (const made of [first, second, third]) await keep(made);
    await expectKept(store, first, third);
  });
});

describe("a collection", () => {
  test("keeps the indexes of the pins that a tag has and had before, at both sides", async () => {
    const { store, place } = await prepare(onTestFinished);
    for (const made of indexes) await place(made);
    await move(store, PINS);
    await collectIn(store);
    const [, , third, fourth] = indexes;
    assert(third !== undefined && fourth !== undefined);
    await expectKept(store, third, fourth);
    expect(await checkOrigin(store)).toStrictEqual([]);
    expect((await checkAtEdge()).findings).toStrictEqual([]);
  });

  test("keeps those of each tag, however often another moves", async () => {
    const { store, place } = await prepare(onTestFinished);
    for (const made of indexes) await place(made);
    const [first = "", second = "", third = "", fourth = ""] = PINS as string[];
    await move(store, [first, second] as Pin[], "a slow source");
    await move(store, [second, third, fourth] as Pin[], "a fast source");
    await collectIn(store);
    await expectKept(store, ...indexes);
  });

  test("keeps that of a commit whose images were pulled by it", async () => {
    const { store, place } = await prepare(onTestFinished);
    const [first, second, third] = indexes;
    assert(first !== undefined && second !== undefined && third !== undefined);
    for (const made of [first, second, third]) await place(made);
    const notes = createPullNotes({ store, now: Date.now, log: readableLog().log });
    const { pin } = first.root;
    const of = { recipe: "git", tag: tagOf(configuredPin(pin, "")), pin, packing: PACKINGS.gzip };
    notes.pulled({ manifests: [], of });
    await notes.close();
    await collectIn(store);
    await expectKept(store, first, third);
  });

  test("takes nothing that is young, and all but the last where no tag is in use", async () => {
    const { store, place } = await prepare(onTestFinished);
    const [first, second] = indexes;
    assert(first !== undefined && second !== undefined);
    await place(first);
    await place(second);
    await storeIndexObject(store, new TextEncoder().encode("of an index that is being made"));
    const slice = storageKey.indexSlice(first.root.pin, SYSTEM, 0);
    await store.store(slice, storedJson({}));
    await collectIn(store, 0);
    expect(await keysOf(store, "index-objects")).toHaveLength(hexesOf(first, second).length + 1);
    expect(await store.sizeBytes(slice)).toBeDefined();
    await collectIn(store);
    await expectKept(store, second);
    expect(await store.sizeBytes(slice)).toBeUndefined();
  });

  test("keeps what an index needs that is stored meanwhile", async () => {
    const { store, place } = await prepare(onTestFinished);
    const [first] = indexes;
    assert(first !== undefined);
    await place(first);
    await store.remove(storageKey.index(first.root.pin, SYSTEM));
    let removals = 0;
    const storing: BlobStore = {
      ...store,
      async remove(key) {
        removals += 1;
        // Each of its objects is as old as those that go.
        if (removals === 1) await storeRoot(store, { root: first.root, askedBy: "a test" });
        await store.remove(key);
      },
    };
    await collectIn(storing);
    expect(removals).toBeGreaterThan(0);
    expect(await keysOf(store, "index-objects")).toHaveLength(first.objects.length);
    expect(await checkOrigin(store)).toStrictEqual([]);
  });

  test("keeps what an index names that still waits for its edge", async () => {
    const { store, place } = await prepare(onTestFinished);
    const [first] = indexes;
    assert(first !== undefined);
    await place(first);
    const packageIndex = { system: first.root.system, madeAtMs: first.root.madeAtMs };
    const at = { pin: first.root.pin, tag: tagOf("latest"), resolvedAtMs: NOW_MS };
    const waiting = storageKey.outboxIndex(tagOf("latest"), SYSTEM);
    await store.store(waiting, storedJson({ packageIndex, ...at }));
    await collectIn(store);
    await expectKept(store, first);
  });
});

describe("a check of an origin's package index", () => {
  test("finds a damaged object and a damaged root, and takes away what lacks something", async () => {
    const { store, place } = await prepare(onTestFinished);
    const [first, second] = indexes;
    assert(first !== undefined && second !== undefined);
    await place(first);
    await place(second);
    const own = second.objects.find(({ digest }) => !hexesOf(first).includes(digestHex(digest)));
    const key = storageKey.indexObject(defined(own, "an object of its own").digest);
    await damage(store, key);
    expect(await checkOrigin(store)).toStrictEqual([{ key, kind: "damaged" }]);
    const { findings } = await repairOrigin(store);
    expect(findings).toStrictEqual([]);
    expect(await keysOf(store, "index")).toStrictEqual(
      rootsOf(first).map((name) => `index/${name}`),
    );

    const root = storageKey.index(first.root.pin, SYSTEM);
    await damage(store, root);
    expect(await checkOrigin(store)).toStrictEqual([{ key: root, kind: "damaged" }]);
  });

  test("finds what a root names and is not there", async () => {
    const { store, place } = await prepare(onTestFinished);
    const [first] = indexes;
    assert(first !== undefined);
    await place(first);
    const key = storageKey.indexObject(shardOf(first));
    await store.remove(key);
    const root = storageKey.index(first.root.pin, SYSTEM);
    expect(await checkOrigin(store)).toStrictEqual([
      { key: root, kind: "incomplete", missing: [key] },
    ]);
    expect((await repairOrigin(store)).findings).toStrictEqual([]);
    expect(await store.sizeBytes(root)).toBeUndefined();
  });
});

describe("a check of an edge's package index", () => {
  test("finds what is damaged or missing, and gives it again", async () => {
    const { store, place } = await prepare(onTestFinished);
    const [first] = indexes;
    assert(first !== undefined);
    await place(first);
    const [kv] = await storesOf(world);
    const [lost, bad] = [0, 1].map((place) => `x/${digestHex(shardOf(first, place))}`);
    assert(lost !== undefined && bad !== undefined);
    await kv.delete(lost);
    await kv.put(bad, "no gzip");
    const root = `i/${first.root.pin}/${SYSTEM}`;
    const { findings } = await checkAtEdge();
    expect(findings).toHaveLength(2);
    expect(findings).toStrictEqual(
      expect.arrayContaining([
        { key: `kv/${root}`, kind: "incomplete", missing: [`kv/${lost}`] },
        { key: `kv/${bad}`, kind: "damaged" },
      ]),
    );
    const { repair } = await checkAtEdge(store);
    expect(repair?.findings).toStrictEqual([]);
    await expectKept(store, first);
  });

  test("takes away a root of which the origin has not all any more", async () => {
    const { store, place } = await prepare(onTestFinished);
    const [first] = indexes;
    assert(first !== undefined);
    await place(first);
    const [kv] = await storesOf(world);
    const lost = shardOf(first);
    await kv.delete(`x/${digestHex(lost)}`);
    await store.remove(storageKey.indexObject(lost));
    const { repair } = await checkAtEdge(store);
    expect(repair?.findings).toStrictEqual([]);
    expect(await edgeKeys("i/")).toStrictEqual([]);
  });
});
