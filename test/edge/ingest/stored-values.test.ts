// What an edge tells of what it has stored, and what becomes of what is wrong with it: real KV and R2, and an
// origin's storage with the same values.

import {
  afterAll,
  assert,
  beforeAll,
  beforeEach,
  describe,
  expect,
  onTestFinished,
  test,
} from "vitest";
import type { EdgeClient } from "../../../origin/backfill/edge-client.ts";
import { checkEdge } from "../../../origin/fsck/check-edge.ts";
import { type Looked, lookAtEdge } from "../../../origin/fsck/look.ts";
import type { BlobStore } from "../../../origin/storage/blob-store.ts";
import { openFilesystemStore } from "../../../origin/storage/filesystem.ts";
import { storageKey } from "../../../origin/storage/keys.ts";
import { storedJson } from "../../../origin/storage/stored-json.ts";
import { ingestPath } from "../../../registry/http/route.ts";
import type { PackageName } from "../../../registry/naming/recipe.ts";
import { temporaryDirectory } from "../../origin/fixture.ts";
import { pinOf } from "../../registry/fixture.ts";
import { imageOf, type Stock, stockOf } from "../stock.ts";
import { operationsOf, startWorld, type World } from "../world.ts";
import { edgeClientOf, emptyStores, storesOf } from "./from-origin.ts";

const PIN = pinOf("a".repeat(40));
const IMAGES = ["git", "htop/git"];
const { signal } = new AbortController();

let world: World;
let stock: Stock;
let edge: EdgeClient;

beforeAll(async () => {
  [world, stock] = await Promise.all([startWorld(), stockOf(["git", "htop"])]);
  edge = edgeClientOf(world, signal);
});

afterAll(() => world.close());

beforeEach(async () => {
  await emptyStores(world);
  await world.backfill(stock, { tag: "latest", pin: PIN, repositories: IMAGES });
});

/** A storage with all that was given to the edge. */
async function storeOf(): Promise<BlobStore> {
  const store = await openFilesystemStore(await temporaryDirectory(onTestFinished));
  for (const [digest, bytes] of stock.blobs) await store.store(storageKey.layer(digest), bytes);
  for (const record of stock.records.values()) {
    await store.store(storageKey.record(record.packing, record), storedJson(record));
  }
  for (const [name, found] of stock.lookups) {
    const key = storageKey.lookup(PIN, "x86_64-linux", name as PackageName);
    await store.store(key, storedJson(found));
  }
  for (const { config, manifest } of await Promise.all(
    IMAGES.map((each) => imageOf(stock, each)),
  )) {
    await store.store(storageKey.layer(config.digest), config.bytes);
    await store.store(storageKey.manifest(manifest.digest), manifest.bytes);
  }
  return store;
}

/** Repairs where there is a storage to repair from. */
async function look(store: BlobStore | null): Promise<Looked> {
  const looked = await lookAtEdge({ edge, store, onChecked: () => {}, signal });
  assert(!("notTold" in looked), JSON.stringify(looked));
  return looked;
}

/** All keys of both stores, with what is under them. */
async function contentOf(): Promise<Readonly<Record<string, string>>> {
  const [kv, r2] = await storesOf(world);
  const content: Record<string, string> = {};
  for (const { name } of (await kv.list()).keys)
    content[`kv/${name}`] = (await kv.get(name, "text")) ?? "";
  for (const { key } of (await r2.list()).objects) {
    content[`r2/${key}`] = (await (await r2.get(key))?.text()) ?? "";
  }
  return content;
}

/** Changes one byte of the first value below a folder, and leaves what lies beside it. */
async function damage(folder: string): Promise<string> {
  const [kv, r2] = await storesOf(world);
  const [store = "", prefix = ""] = [folder.slice(0, 2), folder.slice(3)];
  const flipped = (text: string) => `${text.slice(0, 9)}~${text.slice(10)}`;
  if (store === "kv") {
    const [{ name = "" } = {}] = (await kv.list({ prefix })).keys;
    const { value, metadata } = await kv.getWithMetadata(name);
    await kv.put(name, flipped(value ?? ""), { metadata });
    return `kv/${name}`;
  }
  const [{ key = "" } = {}] = (await r2.list({ prefix })).objects;
  const object = await r2.get(key);
  assert(object !== null);
  const { httpMetadata, customMetadata } = object;
  await r2.put(key, flipped(await object.text()), {
    ...(httpMetadata && { httpMetadata }),
    ...(customMetadata && { customMetadata }),
  });
  return `r2/${key}`;
}

describe("a check of an edge", () => {
  test("finds nothing in what was backfilled", async () => {
    const { findings, orphans, strangers, collections } = await look(null);
    expect({ findings, orphans, strangers }).toStrictEqual({
      findings: [],
      orphans: { blobs: 0, uploads: 0 },
      strangers: 0,
    });
    expect(collections["r2/blobs"]?.values).toBe(stock.blobs.size + IMAGES.length);
    expect(collections["kv/r"]?.values).toBe(stock.records.size);
  });

  test.for([
    ["r2/blobs/", "made-again"],
    ["r2/manifests/", "made-again"],
    ["kv/r/", "made-again"],
    ["kv/l/", "made-again"],
    ["kv/m/", "made-again"],
    // What only an edge knows: it composes or asks anew, and R2 has what KV had.
    ["r2/pointers/", "gone"],
    ["r2/tags/", "gone"],
    ["kv/p/", "gone"],
    ["kv/t/", "gone"],
  ] as const)("finds a changed byte below %s, which is %s by a repair", async ([folder, kind]) => {
    const [store, before] = [await storeOf(), await contentOf()];
    const key = await damage(folder);
    const { findings, repair } = await look(store);
    expect(findings).toStrictEqual([{ key, kind: "damaged" }]);
    expect(repair).toStrictEqual({ repairs: [{ key, kind }], findings: [] });
    const { [key]: _, ...others } = before;
    expect(await contentOf()).toStrictEqual(kind === "gone" ? others : before);
  });

  test("finds a digit of a record that is another, by the checksum beside it", async () => {
    const [store, before] = [await storeOf(), await contentOf()];
    const [kv] = await storesOf(world);
    const [{ name = "" } = {}] = (await kv.list({ prefix: "r/" })).keys;
    const { value, metadata } = await kv.getWithMetadata(name, "text");
    const changed = value?.replace(
      /"diffId":"sha256:./,
      (found) => `${found.slice(0, -1)}${found.endsWith("0") ? "1" : "0"}`,
    );
    await kv.put(name, changed ?? "", { metadata });
    const { repair } = await look(store);
    expect(repair?.repairs).toStrictEqual([{ key: `kv/${name}`, kind: "made-again" }]);
    expect(await contentOf()).toStrictEqual(before);
  });

  test("finds what names a blob that is gone, and has it given again", async () => {
    const [store, before] = [await storeOf(), await contentOf()];
    const [, r2] = await storesOf(world);
    const [{ key = "" } = {}] = (await r2.list({ prefix: "blobs/" })).objects;
    await r2.delete(key);
    const { findings, repair } = await look(store);
    expect(findings.length).toBeGreaterThan(0);
    for (const each of findings) {
      expect(each).toMatchObject({ kind: "incomplete", missing: [`r2/${key}`] });
    }
    expect(repair).toStrictEqual({
      repairs: [{ key: `r2/${key}`, kind: "made-again" }],
      findings: [],
    });
    expect(await contentOf()).toStrictEqual(before);
  });

  test("removes all that names what the origin has not either", async () => {
    const store = await openFilesystemStore(await temporaryDirectory(onTestFinished));
    const [, r2] = await storesOf(world);
    const { objects } = await r2.list({ prefix: "blobs/" });
    await r2.delete(objects.map(({ key }) => key));
    const { repair } = await look(store);
    expect(repair?.findings).toStrictEqual([]);
    expect(repair?.repairs.every(({ kind }) => kind === "gone")).toBe(true);
    const left = Object.keys(await contentOf()).map((key) => key.split("/").slice(0, 2).join("/"));
    expect([...new Set(left)].toSorted()).toStrictEqual([
      ...["kv/l", "kv/latest-pins", "kv/t", "r2/latest-pins", "r2/outputs", "r2/tags"],
    ]);
  });

  test("counts blobs that nothing names, uploads and foreign keys, and leaves them", async () => {
    const [kv, r2] = await storesOf(world);
    const { config } = await imageOf(stock, "htop");
    await world.push("PUT", ingestPath.blob(config.digest), config.bytes);
    await r2.put(`staging/${"a".repeat(64)}/upload`, "half");
    await kv.put("note", "a person's");
    const { findings, orphans, strangers } = await look(await storeOf());
    expect({ findings, orphans, strangers }).toStrictEqual({
      findings: [],
      orphans: { blobs: 1, uploads: 1 },
      strangers: 1,
    });
  });

  test("is told of every value, page by page, with a few calls to the storage for each", async () => {
    const [kv, r2] = await storesOf(world);
    const count = 205;
    const places = Array.from({ length: count }, (_, place) => String(place));
    await Promise.all(places.map((place) => kv.put(`x/${place}`, "x")));
    await Promise.all(places.map((place) => r2.put(`outputs/${place}`, "x")));
    const { checked } = await checkEdge({ edge, reads: "everything", onValues: () => {}, signal });
    expect(checked.collections["kv/x"]?.values).toBe(count);
    expect(checked.collections["r2/outputs"]?.values).toBe(count + stock.lookups.size);
    const body = { store: "r2", reads: "everything", cursor: "4" };
    const response = await world.push("POST", ingestPath.values, body);
    const page = (await response.json()) as { values: unknown[] };
    expect(page.values).toHaveLength(200);
    expect(operationsOf(response)).toStrictEqual({ "r2.list": 1, "r2.get": 200 });
  });

  test("refuses wrong bodies", async () => {
    for (const [path, body] of [
      [ingestPath.values, { store: "d1", reads: "everything", cursor: null }],
      [ingestPath.values, { store: "kv", reads: "nothing", cursor: null }],
      [ingestPath.removals, { store: "kv", keys: [""] }],
      [ingestPath.removals, { store: "r2", keys: Array.from({ length: 501 }, () => "x") }],
    ] as const) {
      expect((await world.push("POST", path, body)).status).toBe(400);
    }
  });

  test("says why an edge does not tell", async () => {
    const stranger = edgeClientOf(world, signal, "another secret than the edge's");
    const looked = await lookAtEdge({
      ...{ edge: stranger, store: await storeOf(), onChecked: () => {}, signal },
    });
    expect(looked).toStrictEqual({
      notTold: "401 the token is not this edge's origin's for this request",
    });
  });
});
