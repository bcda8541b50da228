// Parts of a blob out of R2 and the location's cache: several at once, as podman asks for them, and many
// single ones beside each other, as containerd does.

import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { ingestPath } from "../../../registry/http/route.ts";
import { type Digest, digestOf } from "../../../registry/naming/digest.ts";
import { digestOfText } from "../../registry/fixture.ts";
import { readMultipart } from "../../registry/http/multipart.ts";
import { type Controls, NOW_MS } from "../controls.ts";
import { registryError } from "../fake-origin.ts";
import {
  blobPath,
  cacheStatus,
  elsewhere,
  operationsOf,
  startWorld,
  type World,
} from "../world.ts";

const SIZE_BYTES = 5_000_000;
const BYTES = Uint8Array.from({ length: SIZE_BYTES }, (_, index) => (index * 31) % 251);

let world: World;
let digest: Digest;
beforeAll(async () => {
  world = await startWorld();
  digest = await digestOf(BYTES);
  expect((await world.push("PUT", ingestPath.blob(digest), BYTES)).status).toBe(201);
});
beforeEach(() => world.edge.miniflare.purgeCache());
afterAll(() => world.close());

async function pull(ranges: string, controls: Controls, headers = {}) {
  const asked = { headers: { Range: `bytes=${ranges}`, ...headers }, controls };
  const response = await world.pull(blobPath(digest), asked);
  return { response, bytes: await response.bytes(), operations: operationsOf(response) };
}

function expectParts(response: Response, body: Uint8Array, places: readonly string[]): void {
  expect(response.status).toBe(206);
  expect(response.headers.get("Content-Length")).toBe(String(body.length));
  expect(response.headers.get("Cache-Control")).toMatch(/immutable/);
  const parts = readMultipart(response.headers.get("Content-Type"), body);
  expect(parts.map(({ contentRange }) => contentRange)).toStrictEqual(
    places.map((place) => `bytes ${place}/${SIZE_BYTES}`),
  );
  for (const { bytes, contentRange } of parts) {
    const [first = Number.NaN, last = Number.NaN] = contentRange?.match(/\d+/g)?.map(Number) ?? [];
    expect(bytes).toStrictEqual(BYTES.slice(first, last + 1));
  }
}

describe("several ranges at once", () => {
  const PODMAN = "79-97,211-717,741-890384,4000000-4000009";
  const places = PODMAN.split(",");

  test("are a part each, by a look at the size and one read before the headers go out", async () => {
    const { response, bytes, operations } = await pull(PODMAN, elsewhere());
    expectParts(response, bytes, places);
    // The read behind the large gap comes when it is reached.
    expect(operations).toStrictEqual({ "r2.head": 1, "r2.get": 1 });
  });

  test("are read out of the location's cache where that has the blob", async () => {
    const controls = elsewhere();
    await (await world.pull(blobPath(digest), { controls })).bytes();
    const { response, bytes, operations } = await pull(PODMAN, controls);
    expectParts(response, bytes, places);
    expect(operations).toStrictEqual({ "r2.head": 1 });
  });

  const rows: readonly [ranges: string, status: number, contentRange: string | null][] = [
    ["0-5,5-9", 200, null],
    ["5000000-,6000000-", 416, "bytes */5000000"],
    ["0-5,5000000-", 206, "bytes 0-5/5000000"],
  ];
  test.for(rows)("%s are answered with %i", async ([ranges, status, contentRange]) => {
    const { response, bytes } = await pull(ranges, elsewhere());
    expect(response.status).toBe(status);
    expect(response.headers.get("Content-Range")).toBe(contentRange);
    const [expected = []] = [{ 200: BYTES, 206: BYTES.slice(0, 6), 416: new Uint8Array() }[status]];
    expect(bytes).toStrictEqual(expected);
  });

  test("are the whole under the condition of another version, and with HEAD", async () => {
    const { response } = await pull(PODMAN, elsewhere(), { "If-Range": '"other"' });
    expect(response.status).toBe(200);
    const asked = { method: "HEAD", headers: { Range: `bytes=${PODMAN}` } };
    const head = await world.pull(blobPath(digest), asked);
    expect([head.status, head.headers.get("Content-Length")]).toStrictEqual([200, "5000000"]);
  });

  test("of what only the origin has are the whole, which is compared with its digest", async () => {
    const bytes = BYTES.slice(0, 1000);
    const own = await digestOf(bytes);
    world.origin.asked.length = 0;
    world.origin.answering = () => ({ status: 200, body: bytes });
    const response = await world.pull(blobPath(own), { headers: { Range: "bytes=0-1,5-6" } });
    expect(response.status).toBe(200);
    expect(await response.bytes()).toStrictEqual(bytes);
    expect(world.origin.asked[0]?.headers.range).toBeUndefined();
  });

  test("of a blob that is nowhere are its 404, and of one that R2 cannot give 503", async () => {
    world.origin.answering = () => registryError(404, "BLOB_UNKNOWN", "no such blob");
    const asked = { headers: { Range: "bytes=0-1,5-6" } };
    expect((await world.pull(blobPath(digestOfText("nowhere")), asked)).status).toBe(404);
    world.origin.answering = () => registryError(500, "UNKNOWN", "internal");
    const controls: Controls = { ...elsewhere(), fail: ["r2"] };
    expect((await world.pull(blobPath(digest), { ...asked, controls })).status).toBe(503);
  });
});

test("parts beside each other are one read of R2 each, and none once the cache has the blob", async () => {
  const controls = { location: "parallel", nowMs: NOW_MS + 7_200_000 };
  const partBytes = SIZE_BYTES / 8;
  const all = () =>
    Promise.all(
      Array.from({ length: 8 }, (_, index) =>
        pull(`${index * partBytes}-${(index + 1) * partBytes - 1}`, controls),
      ),
    );
  const reads = (pulled: Awaited<ReturnType<typeof all>>) =>
    pulled
      .map(({ operations }) => (operations as Record<string, number>)["r2.get"] ?? 0)
      .reduce((sum, count) => sum + count);
  const first = await all();
  expect(Buffer.concat(first.map(({ bytes }) => bytes)).equals(BYTES)).toBe(true);
  const fromR2 = first.filter(({ response }) => cacheStatus(response)?.endsWith("r2")).length;
  // And one behind the second of them, which fills the cache.
  expect(reads(first)).toBe(fromR2 + 1);
  const second = await all();
  expect(Buffer.concat(second.map(({ bytes }) => bytes)).equals(BYTES)).toBe(true);
  expect(reads(second)).toBe(0);
});
