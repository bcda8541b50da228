// The entrypoint that Workers Cache stands before, which no machine but Cloudflare's has: what is asked of
// it, and what is not.

import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { ingestPath } from "../../../registry/http/route.ts";
import { type Digest, digestOf } from "../../../registry/naming/digest.ts";
import { digestOfText } from "../../registry/fixture.ts";
import { registryError } from "../fake-origin.ts";
import {
  blobPath,
  cacheStatus,
  elsewhere,
  operationsOf,
  startWorld,
  type World,
} from "../world.ts";

const LARGE = Uint8Array.from({ length: 600_000 }, (_, index) => (index * 7) % 253);
const SMALL = LARGE.slice(0, 1000);
/** More than is hashed on its way. */
const HUGE = new Uint8Array(9_000_000);

describe("with Workers Cache", () => {
  let world: World;
  const digests = new Map<Uint8Array, Digest>();
  beforeAll(async () => {
    world = await startWorld({ workersCache: true });
    for (const bytes of [HUGE, LARGE, SMALL]) {
      const digest = await digestOf(bytes);
      digests.set(bytes, digest);
      expect((await world.push("PUT", ingestPath.blob(digest), bytes)).status).toBe(201);
    }
  });
  beforeEach(() => world.edge.miniflare.purgeCache());
  afterAll(() => world.close());

  const pull = (bytes: Uint8Array, options: Parameters<World["pull"]>[1] = {}) =>
    world.pull(blobPath(digests.get(bytes) ?? digestOfText("")), {
      controls: elsewhere(),
      ...options,
    });

  test("whole blobs are asked for there, with no operation of the main entrypoint's", async () => {
    for (const bytes of [LARGE, SMALL]) {
      const response = await pull(bytes);
      expect(await response.bytes()).toStrictEqual(bytes);
      expect(operationsOf(response)).toStrictEqual({ "shared.GET": 1 });
      expect(cacheStatus(response)).toBe("nixport; hit; detail=r2");
      expect(response.headers.get("Cache-Control")).toMatch(/^public, max-age=31536000, immutable/);
      expect(response.headers.get("Content-Length")).toBe(String(bytes.length));
      expect(response.headers.has("Cache-Tag")).toBe(false);
    }
  });

  test.for([
    ["HEAD", {}, { "r2.head": 1 }],
    ["GET", { Range: "bytes=0-9" }, { "r2.get": 1 }],
    ["GET", { Range: "bytes=0-9,20-29" }, { "r2.head": 1, "r2.get": 1 }],
    ["GET", { "If-Match": '"another"' }, { "r2.head": 1 }],
  ] as const)("%s with %j is R2's own", async ([method, headers, operations]) => {
    const response = await pull(LARGE, { method, headers });
    await response.bytes();
    expect(operationsOf(response)).toStrictEqual(operations);
  });

  test("a small copy that is wrong is R2's, and goes", async () => {
    const controls = { ...elsewhere(), copies: "wrong" } as const;
    const response = await pull(SMALL, { controls });
    expect(await response.bytes()).toStrictEqual(SMALL);
    expect(operationsOf(response)).toStrictEqual({
      "shared.GET": 1,
      "shared.DELETE": 1,
      "r2.get": 1,
    });
  });

  test("a large copy that is wrong never arrives complete", async () => {
    const controls = { ...elsewhere(), copies: "wrong" } as const;
    const length = async () => (await (await pull(LARGE, { controls })).bytes()).length;
    await expect(length).rejects.toThrow(/terminated/);
    expect(world.log.join()).toMatch(/"tier":"workers cache"/);
  });

  test("what is too large to be hashed is watched for its length", async () => {
    const controls = { ...elsewhere(), copies: "cut" } as const;
    const before = world.log.length;
    const length = async () => (await (await pull(HUGE, { controls })).bytes()).length;
    await expect(length).rejects.toThrow(/terminated/);
    expect(world.log.slice(before).join()).toMatch(/"tier":"workers cache"/);
  });

  test("what R2 has not is looked for there once, and then at the origin", async () => {
    world.origin.answering = () => registryError(404, "BLOB_UNKNOWN", "no such blob");
    const response = await world.pull(blobPath(digestOfText("nowhere")));
    expect([response.status, response.headers.get("Cache-Control")]).toStrictEqual([
      404,
      "no-store",
    ]);
    const { "shared.GET": shared, "r2.get": r2 } = operationsOf(response) as Record<string, number>;
    expect([shared, r2]).toStrictEqual([1, undefined]);
  });
});
