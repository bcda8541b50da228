// A cluster behind one address pulls an image that only the origin has yet.

import { afterEach, assert, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { ComposedImage } from "../../../registry/image/compose.ts";
import { type Digest, parseDigest } from "../../../registry/naming/digest.ts";
import { digestOfText } from "../../registry/fixture.ts";
import type { Controls } from "../controls.ts";
import { type Asked, registryError, type Told } from "../fake-origin.ts";
import { imageOf, type Stock, stockOf } from "../stock.ts";
import { blobPath, manifestPath, startWorld, type World } from "../world.ts";

/** With the ground nine parts of two layers each. */
const PACKAGES = ["a1", "b2", "c3", "d4", "e5", "f6", "g7", "h8"];
const NODES = 40;
const PATH = manifestPath(PACKAGES.join("/"), "new");
let stock: Stock;
let image: ComposedImage;
let layers: readonly Digest[];
let world: World;

beforeAll(async () => {
  stock = await stockOf(PACKAGES);
  image = await imageOf(stock, PACKAGES.join("/"));
  const manifest = JSON.parse(new TextDecoder().decode(image.manifest.bytes));
  layers = manifest.layers.map(({ digest }: { digest: Digest }) => digest);
  expect(layers).toHaveLength(18);
});
beforeEach(async () => {
  world = await startWorld();
  world.origin.answering = told;
});
afterEach(() => world.close());

function told({ path, headers: { range } }: Asked): Told {
  const { manifest, config } = image;
  if (path === PATH) {
    const headers = { "Content-Type": manifest.mediaType };
    return {
      status: 200,
      headers: { ...headers, "Docker-Content-Digest": manifest.digest },
      body: manifest.bytes,
    };
  }
  const digest = digestIn(path);
  const body = digest === config.digest ? config.bytes : digest && stock.blobs.get(digest);
  if (!body) return registryError(404, "BLOB_UNKNOWN", "no such blob");
  return range === undefined ? { status: 200, body } : part(body, range);
}

function part(whole: Uint8Array, range: string): Told {
  const [, first = "", last = ""] = /^bytes=(\d+)-(\d*)$/.exec(range) ?? [];
  const body = whole.slice(Number(first), last === "" ? undefined : Number(last) + 1);
  const at = body.length === 0 ? "*" : `${first}-${Number(first) + body.length - 1}`;
  const headers = { "Content-Range": `bytes ${at}/${whole.length}` };
  return { status: body.length === 0 ? 416 : 206, headers, body };
}

const digestIn = (path: string) => parseDigest(path.slice(path.lastIndexOf("/") + 1));
const isBlob = ({ path }: Asked) => path.includes("/blobs/");

async function pullOnce(controls: Controls): Promise<void> {
  const read = async (path: string, method = "GET") => {
    const response = await world.pull(path, { method, controls });
    const bytes = await response.bytes();
    expect(response.status, new TextDecoder().decode(bytes)).toBe(200);
    return bytes;
  };
  await read(PATH, "HEAD");
  await read(PATH);
  const config = await read(blobPath(image.config.digest));
  expect(config).toStrictEqual(image.config.bytes);
  const blobs = await Promise.all(layers.map((digest) => read(blobPath(digest))));
  blobs.forEach((bytes, index) => {
    const digest = layers[index];
    assert(digest);
    expect(bytes).toStrictEqual(stock.blobs.get(digest));
  });
}

const nodes = (controls: Controls) =>
  Promise.all(Array.from({ length: NODES }, () => pullOnce(controls)));

describe("forty nodes that pull one new image of 18 layers", () => {
  test("are one pull each to the limit, whichever isolates they meet", async () => {
    // What their 80 requests for manifests take, and no more.
    await nodes({ coldMemory: true, limiter: 2 * NODES });
    expect(world.origin.asked.filter(isBlob)).toHaveLength(NODES * 19);
  });
});

test("a blob that is nowhere counts as a pull, and too many of them reach the origin no more", async () => {
  const ask = async (name: string) => {
    const response = await world.pull(blobPath(digestOfText(name)), { controls: { limiter: 3 } });
    await response.body?.cancel();
    return response.status;
  };
  const statuses: number[] = [];
  for (const name of ["one", "two", "three", "four", "five"]) statuses.push(await ask(name));
  expect(statuses).toStrictEqual([404, 404, 404, 429, 429]);
  expect(new Set(world.origin.asked.map(({ path }) => path)).size).toBe(4);
});

test("one blob is asked for as often as images are, and its pieces are counted apart", async () => {
  const ask = async (range: string) => {
    const headers = { Range: range, "CF-Connecting-IP": "192.0.2.3" };
    const [layer] = layers;
    assert(layer);
    const controls = { limiter: 2 };
    const response = await world.pull(blobPath(layer), { headers, controls });
    await response.body?.cancel();
    return response.status;
  };
  const first = [await ask("bytes=0-9"), await ask("bytes=10-19"), await ask("bytes=20-29")];
  expect(first).toStrictEqual([206, 206, 429]);
  expect(await ask(`bytes=${4 * 1024 * 1024}-`)).toBe(416);
});
