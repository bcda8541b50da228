// What a collection leaves of a real origin's storage: all that is needed of the images that stay, and nothing
// of the others; whatever ends it, and whoever pulls meanwhile.

import { hash } from "node:crypto";
import { cp, readdir, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { assert, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { checkStorage } from "../../../origin/fsck/check.ts";
import { type Collected, collect } from "../../../origin/gc/collect.ts";
import { DAY_MS, type Rules } from "../../../origin/gc/rules.ts";
import { pinImage, unpinImage } from "../../../origin/pulled/pinned-images.ts";
import type { BlobStore } from "../../../origin/storage/blob-store.ts";
import { openFilesystemStore } from "../../../origin/storage/filesystem.ts";
import { type Ending, endOfFile, temporaryDirectory } from "../fixture.ts";
import { type House, type Pulled, plantSet, REPOSITORY_PREFIX, startHouse } from "../house.ts";

const atEnd = endOfFile();
let setPath: string;
/** Of an origin that has ended, and of which every test has a copy. */
let stored: string;
/** By name: each was pulled two days after the one before. */
const pulled = new Map<string, Pulled>();
/** Two days after the last pull. */
let endMs: number;

const NAMES = ["heavy", "hello/tools", "hullo"] as const;

beforeAll(async () => {
  setPath = await plantSet(atEnd);
  const house = await startHouse(atEnd, setPath, await temporaryDirectory(atEnd));
  let passedMs = 0;
  for (const name of NAMES) {
    pulled.set(name, await house.pull(name));
    house.pass(2 * DAY_MS);
    passedMs += 2 * DAY_MS;
  }
  await house.origin.close();
  stored = join(house.statePath, "origin");
  endMs = Date.now() + passedMs;
});

async function copyOf(onEnd: Ending): Promise<string> {
  const state = await temporaryDirectory(onEnd);
  await cp(stored, join(state, "origin"), { recursive: true });
  return state;
}

const openIn = (state: string) => openFilesystemStore(join(state, "origin"));

const rulesOf = (rules: Partial<Rules> = {}): Rules => ({
  ...{ keepMs: 30 * DAY_MS, graceMs: DAY_MS, maxBytes: null, nowMs: endMs },
  ...rules,
});

function collectIn(store: BlobStore, rules: Partial<Rules> = {}, more = {}): Promise<Collected> {
  return collect({
    ...{ store, rules: rulesOf(rules), edge: null, isDryRun: false, onSwept: () => {} },
    ...{ signal: new AbortController().signal, ...more },
  });
}

async function faultsOf(store: BlobStore): Promise<readonly unknown[]> {
  const { signal } = new AbortController();
  const check = { store, reads: "everything", onChecked: () => {}, signal } as const;
  return (await checkStorage(check)).findings;
}

async function filesIn(state: string): Promise<ReadonlyMap<string, number>> {
  const root = join(state, "origin");
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile() && entry.name !== "lock");
  const paths = files.map((file) => join(file.parentPath, file.name));
  return new Map(
    await Promise.all(
      paths.map(async (path) => [path.slice(root.length + 1), (await stat(path)).size] as const),
    ),
  );
}

const sumOf = (files: ReadonlyMap<string, number>) =>
  [...files.values()].reduce((sum, size) => sum + size, 0);

const sha256Of = (bytes: Uint8Array) => `sha256:${hash("sha256", bytes, "hex")}`;

const digestOf = (name: string) => pulled.get(name)?.digest ?? "";

/** By tag and by digest, with every layer. */
async function pullWhole(house: House, name: string): Promise<void> {
  const { digest, manifest } = await house.pull(name);
  expect(digest).toBe(digestOf(name));
  const repository = `/v2/${REPOSITORY_PREFIX}${name}`;
  const byDigest = await house.request(`${repository}/manifests/${digest}`);
  expect(byDigest.status).toBe(200);
  await byDigest.body?.cancel();
  for (const blob of [manifest.config, ...manifest.layers]) {
    const response = await house.request(`${repository}/blobs/${blob.digest}`);
    const bytes = Buffer.from(await response.arrayBuffer());
    expect(sha256Of(bytes), `${response.status}`).toBe(blob.digest);
  }
}

describe("a collection", () => {
  test("takes nothing away that was pulled lately", async () => {
    const state = await copyOf(onTestFinished);
    const before = await filesIn(state);
    const { images } = await collectIn(await openIn(state));
    expect(images).toStrictEqual({ kept: 3, overLimit: 0, old: 0 });
    expect([...(await filesIn(state)).keys()]).toStrictEqual([...before.keys()]);
  });

  test("keeps all that images need which were pulled lately, and makes the others again", async () => {
    const state = await copyOf(onTestFinished);
    const store = await openIn(state);
    const { images } = await collectIn(store, { keepMs: 3 * DAY_MS });
    expect(images).toStrictEqual({ kept: 1, overLimit: 0, old: 2 });
    expect(await faultsOf(store)).toStrictEqual([]);
    const left = [...(await filesIn(state)).keys()];
    for (const gone of ["heavy", "hello"]) {
      expect(left.filter((key) => key.endsWith(`-${gone}-1.0`))).toStrictEqual([]);
      expect(left.filter((key) => key.endsWith(`/${gone}`))).toStrictEqual([]);
    }

    const house = await startHouse(onTestFinished, setPath, state);
    await pullWhole(house, "hullo");
    expect(house.started).toStrictEqual([]);
    expect(house.packed()).toStrictEqual([]);
    await pullWhole(house, "heavy");
    await pullWhole(house, "hello/tools");
  });

  test("drops what was pulled longest ago until the rest has room", async () => {
    const state = await copyOf(onTestFinished);
    const store = await openIn(state);
    const whole = sumOf(await filesIn(state));
    const maxBytes = whole - 1000;
    const { images, bytes } = await collectIn(store, { maxBytes });
    expect(images).toStrictEqual({ kept: 2, overLimit: 1, old: 0 });
    const left = sumOf(await filesIn(state));
    expect(left).toBeLessThanOrEqual(maxBytes);
    expect(bytes).toStrictEqual({ before: whole, after: left });
    expect(await faultsOf(store)).toStrictEqual([]);

    const house = await startHouse(onTestFinished, setPath, state);
    for (const name of ["hello/tools", "hullo"]) await pullWhole(house, name);
    expect(house.packed()).toStrictEqual([]);
    await pullWhole(house, "heavy");
  });

  test("only says what would go where nothing shall", async () => {
    const state = await copyOf(onTestFinished);
    const before = await filesIn(state);
    const said = await collectIn(await openIn(state), { keepMs: DAY_MS }, { isDryRun: true });
    expect(await filesIn(state)).toStrictEqual(before);
    const done = await collectIn(await openIn(state), { keepMs: DAY_MS });
    expect(said).toStrictEqual(done);
    expect(said.bytes.after).toBeLessThan(said.bytes.before / 2);
    expect(said.collections.lookups.unneeded.values).toBeGreaterThan(3);
  });

  test("keeps what is pinned, until it is no more", async () => {
    const state = await copyOf(onTestFinished);
    const store = await openIn(state);
    await pinImage(store, `${REPOSITORY_PREFIX}heavy:latest`);
    await collectIn(store, { keepMs: 0 });
    // By now nothing is left of the note of its pull, but what the list says.
    await collectIn(store, { keepMs: 0 });
    expect(await faultsOf(store)).toStrictEqual([]);
    const house = await startHouse(onTestFinished, setPath, state);
    await pullWhole(house, "heavy");
    expect(house.packed()).toStrictEqual([]);
    await house.origin.close();

    await unpinImage(store, `${REPOSITORY_PREFIX}heavy:latest`);
    await collectIn(store, { keepMs: 0, nowMs: endMs + 10 * DAY_MS });
    expect(
      [...(await filesIn(state)).keys()].filter((key) => /^layers|^records/.test(key)),
    ).toHaveLength(1);
  });

  test("takes nothing away that is young, nor what that names", async () => {
    const state = await copyOf(onTestFinished);
    const before = await filesIn(state);
    await collectIn(await openIn(state), { keepMs: 0, nowMs: Date.now() });
    expect([...(await filesIn(state)).keys()]).toStrictEqual([...before.keys()]);
  });

  test("keeps what was pulled within the grace, whatever else is said", async () => {
    const state = await copyOf(onTestFinished);
    const longAgo = Date.now() / 1000 - 90 * 86_400;
    for (const key of (await filesIn(state)).keys()) {
      await utimes(join(state, "origin", key), longAgo, longAgo);
    }
    const store = await openIn(state);
    // Half a day after the last pull.
    const nowMs = endMs - 1.5 * DAY_MS;
    const { images } = await collectIn(store, { keepMs: 0, maxBytes: 0, nowMs });
    expect(images).toStrictEqual({ kept: 1, overLimit: 0, old: 2 });
    const house = await startHouse(onTestFinished, setPath, state);
    await pullWhole(house, "hullo");
    expect(house.packed()).toStrictEqual([]);
  });

  test("leaves nothing that names what is not there, wherever it is ended", async () => {
    const state = await copyOf(onTestFinished);
    const store = await openIn(state);
    for (let rest = true; rest; ) {
      const stop = new AbortController();
      const onSwept = (done: number) => {
        if (done === 4) stop.abort(new Error("ended"));
      };
      rest = await collectIn(store, { keepMs: 0 }, { onSwept, signal: stop.signal }).then(
        () => false,
        () => true,
      );
      expect(await faultsOf(store)).toStrictEqual([]);
    }
    expect(
      [...(await filesIn(state)).keys()].filter((key) => key.startsWith("records/")),
    ).toStrictEqual([]);
  });

  test("lets what is known of making a layer outlive it by the grace", async () => {
    const state = await copyOf(onTestFinished);
    const twoDaysAgo = Date.now() / 1000 - 2 * 86_400;
    for (const key of (await filesIn(state)).keys()) {
      await utimes(join(state, "origin", key), twoDaysAgo, twoDaysAgo);
    }
    const store = await openIn(state);
    const makings = await keysOf(store, "makings/");
    for (let run = 0; run < 2; run += 1) {
      await collectIn(store, { keepMs: 0, nowMs: Date.now(), maxBytes: 0 });
      expect(await keysOf(store, "makings/")).toStrictEqual(makings);
    }
    expect(await keysOf(store, "layers/")).toHaveLength(1);
    await collectIn(store, { keepMs: 0, nowMs: Date.now() + 2 * DAY_MS });
    expect(await keysOf(store, "makings/")).toStrictEqual([]);
  });

  test("leaves the layers of a record that is stored while it runs", async () => {
    const state = await copyOf(onTestFinished);
    const store = await openIn(state);
    const [key] = await keysOf(store, "records/");
    assert(key !== undefined);
    const bytes = await store.lookup(key);
    let isBack = false;
    const busy: BlobStore = {
      ...store,
      async remove(each) {
        await store.remove(each);
        if (each.startsWith("records/") && each === key && bytes !== undefined && !isBack) {
          isBack = true;
          await store.store(key, bytes);
        }
      },
    };
    await collectIn(busy, { keepMs: 0 });
    expect(isBack).toBe(true);
    expect(await faultsOf(store)).toStrictEqual([]);
    expect(await keysOf(store, "records/")).toStrictEqual([key]);
  });
});

async function keysOf(store: BlobStore, prefix: "records/" | "layers/" | "makings/") {
  const keys = [];
  for await (const { key } of store.list(prefix)) keys.push(key);
  return keys;
}

describe("an origin that serves meanwhile", () => {
  test("makes again what a client is pulling, and believes in nothing that is gone for long", async () => {
    const state = await copyOf(onTestFinished);
    const house = await startHouse(onTestFinished, setPath, state);
    const { manifest } = await house.pull("heavy");
    await collectIn(await openIn(state), { keepMs: 0, graceMs: 0 });
    expect(await keysOf(await openIn(state), "layers/")).toHaveLength(1);
    for (const { digest } of manifest.layers) {
      const response = await house.request(`/v2/${REPOSITORY_PREFIX}heavy/blobs/${digest}`);
      expect(response.status).toBe(200);
      expect(sha256Of(Buffer.from(await response.arrayBuffer()))).toBe(digest);
    }
    await collectIn(await openIn(state), { keepMs: 0, graceMs: 0 });
    await collectIn(await openIn(state), { keepMs: 0, graceMs: 0 });
    // Nothing is left of how to make them.
    house.pass(2 * 3_600_000);
    await pullWhole(house, "heavy");
  });

  test("stores again the popularity data that its records name", async () => {
    const path = await plantSet(onTestFinished);
    await writeFile(join(path, "popularity.json"), '{"shared": 7}');
    const house = await startHouse(onTestFinished, path, await temporaryDirectory(onTestFinished));
    await house.pull("hello");
    const store = await openIn(house.statePath);
    await collectIn(store, { keepMs: 0, graceMs: 0 });
    expect(await keysOf(store, "layers/")).toStrictEqual([]);
    house.pass(2 * 3_600_000);
    await house.pull("hello");
    expect(await faultsOf(store)).toStrictEqual([]);
  });
});
