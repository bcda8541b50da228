// What an edge lets go with its origin: real KV and R2, and an origin's storage that has lost some of it.

import { afterAll, assert, beforeAll, beforeEach, expect, onTestFinished, test } from "vitest";
import type { EdgeClient } from "../../../origin/backfill/edge-client.ts";
import { lookAtEdge } from "../../../origin/fsck/look.ts";
import { DAY_MS } from "../../../origin/gc/rules.ts";
import { type SweptFolders, sweepEdge } from "../../../origin/gc/sweep-edge.ts";
import { openFilesystemStore } from "../../../origin/storage/filesystem.ts";
import { type StorageKey, storageKey } from "../../../origin/storage/keys.ts";
import type { PackageName } from "../../../registry/naming/recipe.ts";
import { temporaryDirectory } from "../../origin/fixture.ts";
import { pinOf, READS_ZSTD } from "../../registry/fixture.ts";
import { type Stock, stockOf } from "../stock.ts";
import { startWorld, type World } from "../world.ts";
import { edgeClientOf, emptyStores, storesOf } from "./from-origin.ts";

const PIN = pinOf("a".repeat(40));
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
  await world.backfill(stock, { tag: "latest", pin: PIN, repositories: ["git"] });
  const [, r2] = await storesOf(world);
  await r2.put(`staging/${"0".repeat(64)}/upload`, "unfinished");
});

async function keysAt(): Promise<readonly string[]> {
  const [kv, r2] = await storesOf(world);
  return [
    ...(await kv.list()).keys.map(({ name }) => `kv/${name}`),
    ...(await r2.list()).objects.map(({ key }) => `r2/${key}`),
  ].sort();
}

/** Against a storage that has these values alone. */
async function sweep(
  has: readonly StorageKey[],
  { graceMs = 0, isDryRun = false, gone = [] as readonly StorageKey[] } = {},
): Promise<SweptFolders> {
  const store = await openFilesystemStore(await temporaryDirectory(onTestFinished));
  for (const key of has) await store.store(key, new Uint8Array());
  const rules = { keepMs: DAY_MS, graceMs, maxBytes: null, nowMs: Date.now() + 1000 };
  return sweepEdge({ edge, store, rules, gone: new Set(gone), isDryRun, signal });
}

async function faults(): Promise<readonly unknown[]> {
  const looked = await lookAtEdge({ edge, store: null, onChecked: () => {}, signal });
  assert(!("notTold" in looked));
  return looked.findings;
}

const all = (): readonly StorageKey[] => [
  ...[...stock.records.values()].map((record) => storageKey.record(record.packing, record)),
  ...[...stock.lookups.keys()].map((name) =>
    storageKey.lookup(PIN, "x86_64-linux", name as PackageName),
  ),
];

test("an edge lets nothing go that its origin has, but what nobody finished", async () => {
  const before = await keysAt();
  expect(await sweep(all())).toStrictEqual({ "r2/staging": { values: 1, bytes: 10 } });
  const after = await keysAt();
  expect(before.filter((key) => !after.includes(key))).toStrictEqual([
    expect.stringMatching(/^r2\/staging\//),
  ]);
});

test("an edge lets go of what its origin has not, but for what an image needs that it keeps", async () => {
  const before = await keysAt();
  const htop = before.filter((key) => key.includes("htop"));
  expect(htop.length).toBeGreaterThan(1);
  await sweep([]);
  const after = await keysAt();
  expect(after.filter((key) => /^kv\/[lr]\/|^r2\/outputs\//.test(key))).toStrictEqual([]);
  expect(await faults()).toStrictEqual([]);
  // Layers of htop alone are named by nothing that is left.
  const blobs = (keys: readonly string[]) => keys.filter((key) => key.startsWith("r2/blobs/"));
  expect(blobs(after).length).toBeLessThan(blobs(before).length);
  const headers = { "User-Agent": READS_ZSTD };
  const { status } = await fetch(`${world.edge.url}/v2/git/manifests/latest`, { headers });
  expect(status).toBe(200);
});

test("what is young stays, whatever names it", async () => {
  const before = await keysAt();
  await sweep([], { graceMs: DAY_MS });
  const after = await keysAt();
  expect(after.filter((key) => key.startsWith("r2/"))).toStrictEqual(
    before.filter((key) => key.startsWith("r2/")),
  );
});

test("what would go is told as what goes, and nothing does", async () => {
  const before = await keysAt();
  const told = await sweep(all(), { isDryRun: true, gone: all() });
  expect(await keysAt()).toStrictEqual(before);
  expect(await sweep([])).toStrictEqual(told);
});
