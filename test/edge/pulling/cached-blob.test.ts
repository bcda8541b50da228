// Blobs in the location's cache: who puts them there, and what is answered out of it.

import { afterAll, assert, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { ingestPath } from "../../../registry/http/route.ts";
import { type Digest, digestOf } from "../../../registry/naming/digest.ts";
import { type Controls, NOW_MS } from "../controls.ts";
import {
  blobPath,
  cacheStatus,
  elsewhere,
  operationsOf,
  startWorld,
  subrequestsOf,
  type World,
} from "../world.ts";

const SIZE_BYTES = 600_000;
const BYTES = Uint8Array.from({ length: SIZE_BYTES }, (_, index) => (index * 7) % 253);
const HOST = "place.example";

let world: World;
let digest: Digest;
beforeAll(async () => {
  world = await startWorld();
  digest = await stored(BYTES);
});
beforeEach(() => world.edge.miniflare.purgeCache());
afterAll(() => world.close());

async function stored(bytes: Uint8Array): Promise<Digest> {
  const own = await digestOf(bytes);
  expect((await world.push("PUT", ingestPath.blob(own), bytes)).ok).toBe(true);
  return own;
}

/** Another isolate each time, at one location. */
function nearby(more: Controls = {}): Controls {
  return { coldMemory: true, location: "place", ...more };
}

async function pull(controls: Controls, headers = {}, method = "GET") {
  const response = await world.pull(blobPath(digest), { controls, headers, method });
  return { response, bytes: await response.bytes(), operations: operationsOf(response) };
}

const cacheUrl = (folder: string) => `https://${HOST}/${folder}/${digest}`;
const caches = async () => (await world.edge.miniflare.getCaches()).default;

async function isCached(): Promise<boolean> {
  const copy = await (await caches()).match(cacheUrl("cached-blobs"));
  await copy?.arrayBuffer();
  return copy !== undefined;
}

describe("a large blob", () => {
  test("is in the location's cache after its first pull, and then no operation at all", async () => {
    const first = await pull(nearby());
    expect(cacheStatus(first.response)).toBe("nixport; hit; detail=r2");
    expect(first.bytes).toStrictEqual(BYTES);
    // Once for the answer, and once behind it.
    expect(first.operations).toStrictEqual({ "r2.get": 2 });
    const second = await pull(nearby());
    expect(cacheStatus(second.response)).toBe("nixport; hit; detail=cache");
    expect(second.operations).toStrictEqual({});
    expect(second.bytes).toStrictEqual(BYTES);
    const { headers } = second.response;
    expect(headers.get("Content-Length")).toBe(String(SIZE_BYTES));
    expect(headers.get("Docker-Content-Digest")).toBe(digest);
    expect(headers.get("Cache-Control")).toBe("public, max-age=31536000, immutable, no-transform");
    const far = await pull(elsewhere());
    expect(cacheStatus(far.response)).toBe("nixport; hit; detail=r2");
  });

  test("is put there once, however many of an isolate want it", async () => {
    const controls = { location: "crowded" };
    const all = await Promise.all(Array.from({ length: 8 }, () => pull(controls)));
    for (const { bytes } of all) expect(bytes).toStrictEqual(BYTES);
    const reads = all.map(
      ({ operations }) => (operations as Record<string, number>)["r2.get"] ?? 0,
    );
    const fromR2 = all.filter(({ response }) => cacheStatus(response)?.endsWith("r2"));
    expect(reads.reduce((sum, count) => sum + count)).toBe(fromR2.length + 1);
  });

  test("is put there by nobody while another of the location says that it does", async () => {
    await pull(nearby());
    expect(await isCached()).toBe(true);
    await (await caches()).delete(cacheUrl("cached-blobs"));
    expect((await pull(nearby())).operations).toStrictEqual({ "r2.get": 1 });
    expect(await isCached()).toBe(false);
    // Its mark lives for a minute.
    await (await caches()).delete(cacheUrl("filling"));
    expect((await pull(nearby())).operations).toStrictEqual({ "r2.get": 2 });
    expect(await isCached()).toBe(true);
  });

  test("is answered whole where reading it for the cache is cut, and is put there later", async () => {
    const cut = await pull(nearby({ cutsSecondRead: true }));
    expect(cut.bytes).toStrictEqual(BYTES);
    expect(cut.operations).toStrictEqual({ "r2.get": 2 });
    expect(world.log.join()).toMatch(/fill cache failed/);
    // The emulated cache may keep what it got, which is found out when it is read.
    const next = await pull(nearby()).catch(String);
    if (typeof next === "string") expect(next).toMatch(/terminated/);
    else expect(next.bytes).toStrictEqual(BYTES);
    await (await caches()).delete(cacheUrl("filling"));
    expect((await pull(nearby())).bytes).toStrictEqual(BYTES);
    expect(await isCached()).toBe(true);
  });

  test("is not read again where the cache keeps nothing", async () => {
    const { bytes, operations } = await pull(nearby({ forgetfulCache: true }));
    expect(bytes).toStrictEqual(BYTES);
    expect(operations).toStrictEqual({ "r2.get": 1 });
  });

  test("is not put there for HEAD", async () => {
    const { operations } = await pull(nearby(), {}, "HEAD");
    expect(operations).toStrictEqual({ "r2.head": 1 });
    expect(await isCached()).toBe(false);
  });

  test("is put there when a second part of it is asked for, not for one", async () => {
    const controls = { location: "place", nowMs: NOW_MS + 3_600_000 };
    const part = (first: number) => pull(controls, { Range: `bytes=${first}-${first + 99_999}` });
    expect((await part(0)).operations).toStrictEqual({ "r2.get": 1 });
    expect(await isCached()).toBe(false);
    expect((await part(100_000)).operations).toStrictEqual({ "r2.get": 2 });
    expect(await isCached()).toBe(true);
    const third = await part(200_000);
    expect(third.operations).toStrictEqual({});
    expect(third.bytes).toStrictEqual(BYTES.slice(200_000, 300_000));
  });
});

describe("out of the location's cache", () => {
  const rows: readonly (readonly [range: string, status: number, contentRange: string | null])[] = [
    ["bytes=10-19", 206, "bytes 10-19/600000"],
    ["bytes=599990-", 206, "bytes 599990-599999/600000"],
    ["bytes=-5", 206, "bytes 599995-599999/600000"],
    ["bytes=599990-9223372036854775807", 206, "bytes 599990-599999/600000"],
    ["bytes=600000-", 416, "bytes */600000"],
    ["bytes=9-2", 200, null],
  ];
  test.for(rows)("%s is %i as it is of R2", async ([range, status, contentRange]) => {
    const fromR2 = await pull(elsewhere(), { Range: range });
    await pull(nearby());
    const { response, bytes, operations } = await pull(nearby(), { Range: range });
    expect(response.status).toBe(status);
    expect(response.headers.get("Content-Range")).toBe(contentRange);
    expect(cacheStatus(response)).toMatch(/cache$/);
    expect(operations).toStrictEqual({});
    expect(bytes).toStrictEqual(fromR2.bytes);
    for (const name of ["content-length", "etag", "cache-control", "accept-ranges"]) {
      expect(response.headers.get(name)).toBe(fromR2.response.headers.get(name));
    }
  });

  test("wrong bytes never arrive complete, and are gone for the next who asks", async () => {
    await pull(nearby());
    await neverComplete(nearby({ copies: "wrong" }));
    expect(world.log.join()).toMatch(/corrupt blob removed/);
    expect(await isCached()).toBe(false);
    const { response, bytes } = await pull(nearby());
    expect(cacheStatus(response)).toBe("nixport; hit; detail=r2");
    expect(bytes).toStrictEqual(BYTES);
  });

  const cut: readonly (readonly [what: string, headers: Readonly<Record<string, string>>])[] = [
    ["the whole", {}],
    ["a part", { Range: "bytes=500000-599999" }],
  ];
  test.for(cut)(
    "%s of a copy that ends early is never complete, and is R2's next",
    async ([, headers]) => {
      await pull(nearby());
      await neverComplete(nearby({ copies: "cut" }), headers);
      const { response } = await pull(nearby(), headers);
      expect(cacheStatus(response)).toBe("nixport; hit; detail=r2");
    },
  );

  test("an isolate looks at the end of a copy once a minute, behind an answer", async () => {
    await pull(nearby());
    const matches = [];
    for (const afterMs of [0, 59_999, 60_000]) {
      const controls = { location: "place", isolate: "looking", nowMs: NOW_MS + afterMs };
      const { response } = await pull(controls, { Range: "bytes=0-9" });
      const { before, all } = subrequestsOf(response);
      matches.push([before["cache.match"], all["cache.match"]]);
    }
    expect(matches).toStrictEqual([
      [1, 2],
      [1, 1],
      [1, 2],
    ]);
    expect(await isCached()).toBe(true);
  });

  test("what is too large to be hashed for a small plan is watched for its length", async () => {
    const huge = new Uint8Array(9_000_000);
    const own = await stored(huge);
    const ask = (more: Controls = {}) => world.pull(blobPath(own), { controls: nearby(more) });
    await (await ask()).bytes();
    const cut = async () => (await (await ask({ copies: "cut" })).bytes()).length;
    await expect(cut).rejects.toThrow(/terminated/);
    const next = await ask();
    expect(cacheStatus(next)).toBe("nixport; hit; detail=r2");
    expect((await next.bytes()).length).toBe(huge.length);
  });

  test("what a cut filling has left of it is gone after one answer", async () => {
    const huge = new Uint8Array(9_000_001);
    const own = await stored(huge);
    const ask = (more: Controls = {}) => world.pull(blobPath(own), { controls: nearby(more) });
    const length = async (more?: Controls) => (await (await ask(more)).bytes()).length;
    expect(await length({ cutsSecondRead: true })).toBe(huge.length);
    // The emulated cache keeps what it got, with the length that was said.
    expect(await length().catch(String)).toSatisfy(
      (got) => got === huge.length || /terminated/.test(String(got)),
    );
    expect(await length()).toBe(huge.length);
  });
});

async function neverComplete(controls: Controls, headers = {}): Promise<void> {
  const length = async () => (await pull(controls, headers)).bytes.length;
  await expect(length).rejects.toThrow(/terminated/);
  expect(await isCached()).toBe(false);
}

describe("a blob in R2 that others than the edge have put there", () => {
  test("is compared on its way, and not copied", async () => {
    const bytes = BYTES.map((byte) => byte ^ 9);
    const own = await digestOf(bytes);
    const bucket = await world.edge.miniflare.getR2Bucket("R2");
    const key = `blobs/${own.slice(7, 9)}/${own.slice(7)}`;
    await bucket.put(key, bytes);
    const right = await world.pull(blobPath(own), { controls: nearby() });
    expect(await right.bytes()).toStrictEqual(bytes);
    const cached = await (await caches()).match(`https://${HOST}/cached-blobs/${own}`);
    expect(cached).toBeUndefined();
    await bucket.put(key, BYTES);
    await expect(async () => {
      const wrong = await world.pull(blobPath(own), { controls: nearby() });
      await wrong.bytes();
    }).rejects.toThrow(/terminated/);
    assert((await bucket.head(key)) === null);
  });
});
