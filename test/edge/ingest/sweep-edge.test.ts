// What an edge lets go with its origin: real KV and R2, and an origin's storage that has lost some of it.

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
import { lookAtEdge } from "../../../origin/fsck/look.ts";
import { DAY_MS } from "../../../origin/gc/rules.ts";
import { type SweptFolders, sweepEdge } from "../../../origin/gc/sweep-edge.ts";
import { openFilesystemStore } from "../../../origin/storage/filesystem.ts";
import { type StorageKey, storageKey } from "../../../origin/storage/keys.ts";
import { ingestPath } from "../../../registry/http/route.ts";
import { composeIndex } from "../../../registry/image/image-index.ts";
import { type Digest, digestHex, digestOf } from "../../../registry/naming/digest.ts";
import type { PackageName } from "../../../registry/naming/recipe.ts";
import { temporaryDirectory } from "../../origin/fixture.ts";
import { pinOf, READS_ZSTD, recipeOf, tagOf } from "../../registry/fixture.ts";
import { NOW_MS } from "../controls.ts";
import { registryError } from "../fake-origin.ts";
import { imageOf, imagePointer, type Stock, stockOf, tagPins } from "../stock.ts";
import { cacheStatus, elsewhere, manifestPath, startWorld, type World } from "../world.ts";
import { edgeClientOf, emptyStores, storesOf } from "./from-origin.ts";

const PIN = pinOf("a".repeat(40));
const { signal } = new AbortController();

let world: World;
let stock: Stock;
let edge: EdgeClient;
let git: Digest;

beforeAll(async () => {
  [world, stock] = await Promise.all([startWorld(), stockOf(["git", "htop"])]);
  edge = edgeClientOf(world, signal);
  git = (await imageOf(stock, "git")).manifest.digest;
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

interface Sweep {
  readonly edge?: Pick<EdgeClient, "url" | "askValues" | "postRemovals">;
  readonly graceMs?: number;
  readonly nowMs?: number;
  readonly isDryRun?: boolean;
  /** What the origin had, by a listing. */
  readonly listed?: readonly StorageKey[];
  readonly gone?: readonly StorageKey[];
  /** Of which images pulls say that they stay, by their digests. */
  readonly pulled?: readonly Digest[];
  readonly tags?: readonly string[];
}

/** Against a storage that has these values alone; where nothing else is said, git was pulled lately. */
async function sweep(has: readonly StorageKey[], options: Sweep = {}): Promise<SweptFolders> {
  const { graceMs = 0, nowMs = Date.now() + 1000, isDryRun = false, gone = [] } = options;
  const { pulled = [git], tags = ["latest"], listed = [] } = options;
  const store = await openFilesystemStore(await temporaryDirectory(onTestFinished));
  for (const key of has) await store.store(key, new Uint8Array());
  const rules = { keepMs: DAY_MS, graceMs, maxBytes: null, nowMs };
  const answers = { manifests: new Set(pulled), tags: new Set(tags) };
  const more = { inventory: new Set(listed), gone: new Set(gone), answers, isDryRun, signal };
  return sweepEdge({ edge: options.edge ?? edge, store, rules, ...more });
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
  // Of what was listed the storage is not asked once more.
  expect(await sweep([], { listed: all() })).toStrictEqual({});
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

const answersIn = (keys: readonly string[]) =>
  keys.filter((key) => /^(?:kv\/[mpt]|r2\/(?:pointers|manifests|tags))\//.test(key));

test("an edge lets go of what it keeps of an image that nobody has pulled for long", async () => {
  const { config, manifest } = await imageOf(stock, "git");
  const before = await keysAt();
  const swept = await sweep(all(), { pulled: [], tags: [] });
  const count = (folder: string) => swept[folder]?.values;
  expect(
    ["r2/pointers", "kv/p", "r2/manifests", "kv/m", "r2/tags", "kv/t", "r2/blobs"].map(count),
  ).toStrictEqual([1, 1, 1, 1, 1, 1, 1]);
  const after = await keysAt();
  expect(answersIn(after)).toStrictEqual([]);
  const gone = before.filter((key) => !after.includes(key));
  expect(gone).toContain(
    `r2/blobs/${digestHex(config.digest).slice(0, 2)}/${digestHex(config.digest)}`,
  );
  expect(after).toContain("r2/latest-pins");
  expect(await faults()).toStrictEqual([]);

  // At another place, where nothing of it is remembered.
  const pulled = await world.pull(manifestPath("git", manifest.digest), { controls: elsewhere() });
  expect(pulled.status).toBe(200);
  expect(cacheStatus(pulled)).toMatch(/composed/);
});

test("an edge lets go of what an earlier composer has left, and keeps what is pulled of it", async () => {
  const [kv, r2] = await storesOf(world);
  const old = async (key: string) => {
    const object = await r2.get(key);
    assert(object?.customMetadata);
    const name = key.replace(/^pointers\/\d+\//, "pointers/0/");
    await r2.put(name, await object.arrayBuffer(), { customMetadata: object.customMetadata });
    await kv.put(name.replace("pointers/", "p/"), (await (await r2.get(name))?.text()) ?? "", {
      metadata: object.customMetadata,
    });
  };
  const [pointer] = (await r2.list({ prefix: "pointers/" })).objects;
  await old(pointer?.key ?? "");
  expect((await keysAt()).filter((key) => /\/p(?:ointers)?\/0\//.test(key))).toHaveLength(2);
  await sweep(all());
  expect((await keysAt()).filter((key) => /\/p(?:ointers)?\/0\//.test(key))).toHaveLength(2);
  await sweep(all(), { pulled: [] });
  expect(answersIn(await keysAt()).filter((key) => !/tags|\/t\//.test(key))).toStrictEqual([]);
});

test("what an index names stays with it, and goes with it", async () => {
  await world.backfill(stock, { tag: "latest", pin: PIN, repositories: ["htop"] });
  const images = await Promise.all(
    ["git", "htop"].map(async (name) => ({
      recipe: recipeOf(name),
      ...(await imageOf(stock, name)),
    })),
  );
  const index = await composeIndex(images, [], "oci-zstd");
  const { status } = await world.push("PUT", ingestPath.manifest(index.digest), index.bytes);
  expect(status).toBe(201);
  const manifestsLeft = async () =>
    (await keysAt()).filter((key) => key.startsWith("r2/manifests/")).length;
  await sweep(all(), { pulled: [index.digest] });
  expect(await manifestsLeft()).toBe(3);
  expect(await faults()).toStrictEqual([]);
  await sweep(all(), { pulled: [git] });
  expect(await manifestsLeft()).toBe(1);
  expect(await faults()).toStrictEqual([]);
});

test("what is stored again while it is about to go stays, with all that it names", async () => {
  const again: NonNullable<Sweep["edge"]> = {
    ...edge,
    async postRemovals(body) {
      if (body.store === "r2") {
        const { config, manifest } = await imageOf(stock, "git");
        const [, r2] = await storesOf(world);
        // As an edge does that composes it, whatever is there.
        const hex = digestHex(config.digest);
        await r2.put(`blobs/${hex.slice(0, 2)}/${hex}`, config.bytes);
        const put = await world.push("PUT", ingestPath.manifest(manifest.digest), manifest.bytes);
        expect(put.status).toBe(201);
        const image = imagePointer("git", "latest", manifest.digest, PIN, NOW_MS);
        const tag = { tag: tagOf("latest"), pins: tagPins(stock, PIN, NOW_MS) };
        await world.push("POST", ingestPath.pointers, { tag, image });
      }
      return edge.postRemovals(body);
    },
  };
  await sweep(all(), { edge: again, pulled: [], tags: [], nowMs: Date.now() });
  expect(await faults()).toStrictEqual([]);
  const left = (await keysAt()).filter((key) => /^r2\/(?:pointers|manifests)/.test(key));
  expect(left).toHaveLength(2);
});

test("an edge that tells of no pulls yet lets go of nothing that it keeps", async () => {
  const before = answersIn(await keysAt());
  const earlier: NonNullable<Sweep["edge"]> = {
    ...edge,
    async askValues(body) {
      const asked = await edge.askValues(body);
      if (asked.kind !== "page") return asked;
      const values = asked.page.values.map(({ copyOf: _, ...value }) => value);
      return { kind: "page", page: { ...asked.page, values } };
    },
  };
  await sweep(all(), { edge: earlier, pulled: [], tags: [] });
  expect(answersIn(await keysAt())).toStrictEqual(before);
  expect(await faults()).toStrictEqual([]);
});

test("what is damaged is left to a check", async () => {
  const [, r2] = await storesOf(world);
  const [{ key = "" } = {}] = (await r2.list({ prefix: "manifests/" })).objects;
  await r2.put(key, "{}");
  await sweep(all(), { pulled: [] });
  expect(await keysAt()).toContain(`r2/${key}`);
});

// What KV remembers at a location for a while: that a key is not there, or what was there.
describe("after a sweep", () => {
  test("what is backfilled again is answered, though KV still says that it is not there", async () => {
    await sweep([], { pulled: [], tags: [] });
    await world.backfill(stock, { tag: "latest", pin: PIN, repositories: ["git"] });
    const [kv] = await storesOf(world);
    for (const { name } of (await kv.list()).keys) await kv.delete(name);
    for (const reference of ["latest", git]) {
      const pulled = await world.pull(manifestPath("git", reference), { controls: elsewhere() });
      expect([pulled.status, cacheStatus(pulled)]).toStrictEqual([
        200,
        expect.stringMatching(/detail=r2/),
      ]);
      expect(await digestOf(await pulled.bytes())).toBe(git);
    }
  });

  test.for([
    ["gives what the origin makes again", 200],
    ["is refused where the origin makes nothing", 503],
  ] as const)("what KV still has of it %s: %i", async ([, status]) => {
    const [kv] = await storesOf(world);
    const had = await Promise.all(
      (await kv.list()).keys.map(async ({ name }) => {
        return { name, ...(await kv.getWithMetadata(name, "arrayBuffer")) };
      }),
    );
    await sweep([], { pulled: [], tags: [] });
    for (const { name, value, metadata } of had) await kv.put(name, value ?? "", { metadata });
    const { config, manifest } = await imageOf(stock, "git");
    const blobs = new Map(stock.blobs).set(config.digest, config.bytes);
    world.origin.answering = ({ path }) => {
      const body = blobs.get(path.split("/").at(-1) as Digest);
      if (status !== 200) return registryError(503, "UNAVAILABLE", "no");
      return body && { status, body, headers: { "Docker-Content-Digest": String(path) } };
    };
    const { layers } = JSON.parse(new TextDecoder().decode(manifest.bytes));
    for (const { digest } of layers) {
      const pulled = await world.pull(`/v2/git/blobs/${digest}`, { controls: elsewhere() });
      expect(pulled.status).toBe(status);
      const bytes = await pulled.bytes();
      if (status === 200) expect(await digestOf(bytes)).toBe(digest);
    }
    world.origin.answering = () => undefined;
  });
});
