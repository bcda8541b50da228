// What a client sees while storage has lost, damaged or does not give what it had: never other bytes, never
// a 404 that nobody has said, never a manifest whose layers nobody has. What else may fail is in
// storage/tiers.test.ts, pulling/blobs.test.ts and ingest/.

import { afterAll, assert, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { ComposedImage } from "../../registry/image/compose.ts";
import type { Digest } from "../../registry/naming/digest.ts";
import { digestHex, digestOf } from "../../registry/naming/digest.ts";
import { pinOf } from "../registry/fixture.ts";
import type { Controls } from "./controls.ts";
import { type Asked, registryError, type Told } from "./fake-origin.ts";
import { emptyStores, storesOf } from "./ingest/from-origin.ts";
import { imageOf, type Stock, stockOf } from "./stock.ts";
import { cacheStatus, elsewhere, errorOf, manifestPath, startWorld, type World } from "./world.ts";

const PIN = pinOf("a".repeat(40));
const KEPT = "git";
const COMPOSED = "git/htop";

let world: World;
let stock: Stock;
let kept: ComposedImage;
let composed: ComposedImage;

beforeAll(async () => {
  world = await startWorld();
  stock = await stockOf(["git", "htop"]);
  [kept, composed] = [await imageOf(stock, KEPT), await imageOf(stock, COMPOSED)];
});
afterAll(() => world.close());

beforeEach(async () => {
  await world.origin.start();
  world.origin.asked.length = 0;
  world.origin.answering = answer;
  await emptyStores(world);
  await world.backfill(stock, { tag: "latest", pin: PIN, repositories: [KEPT] });
});

/** An origin that has all of it. */
function answer({ path }: Asked): Told {
  const [, image = "", kind = "", reference = ""] =
    /^\/v2\/(.+)\/(manifests|blobs)\/(.+)$/.exec(path) ?? [];
  if (kind === "blobs") return blobAnswer(reference as Digest);
  const { bytes, digest, mediaType } = (image === KEPT ? kept : composed).manifest;
  const headers = { "Content-Type": mediaType, "Docker-Content-Digest": digest };
  return { status: 200, headers, body: bytes };
}

function blobAnswer(digest: Digest): Told {
  const configs = [kept, composed].map(({ config }) => config);
  const body = stock.blobs.get(digest) ?? configs.find((config) => config.digest === digest)?.bytes;
  return body ? { status: 200, body } : registryError(404, "BLOB_UNKNOWN", "no such blob");
}

/** Nothing in an isolate or a location: what is stored, or the origin, must answer. */
const pull = (path: string, controls: Controls = {}) =>
  world.pull(path, { controls: { ...elsewhere(), ...controls } });

function layersOf({ manifest }: ComposedImage): readonly Digest[] {
  const { layers } = JSON.parse(new TextDecoder().decode(manifest.bytes));
  return layers.map(({ digest }: { digest: Digest }) => digest);
}

async function expectUnavailable(response: Response): Promise<void> {
  expect(response.status).toBe(503);
  expect((await errorOf(response)).code).toBe("UNAVAILABLE");
  expect(Number(response.headers.get("Retry-After"))).toBeGreaterThan(0);
}

describe("a layer that R2 has lost", () => {
  const lose = async () => {
    const [, r2] = await storesOf(world);
    const [layer] = layersOf(composed);
    assert(layer);
    await r2.delete(`blobs/${digestHex(layer).slice(0, 2)}/${digestHex(layer)}`);
    return layer;
  };

  test.for([KEPT, COMPOSED])(
    "is the origin's, whole, of an image that names it: %s",
    async (name) => {
      const layer = await lose();
      const image = await pull(manifestPath(name, "latest"));
      expect(image.status).toBe(200);
      const blob = await pull(`/v2/${name}/blobs/${layer}`);
      expect(cacheStatus(blob)).toBe("nixport; fwd=miss");
      expect(await digestOf(await blob.bytes())).toBe(layer);
    },
  );

  test("is 503 while the origin is stopped: nobody has said that there is none", async () => {
    const layer = await lose();
    await world.origin.stop();
    await expectUnavailable(await pull(`/v2/${COMPOSED}/blobs/${layer}`));
  });
});

describe("an R2 that is empty while KV is not", () => {
  beforeEach(async () => {
    const [, r2] = await storesOf(world);
    await r2.delete((await r2.list()).objects.map(({ key }) => key));
  });

  test("leaves manifests as they were, and blobs to the origin", async () => {
    for (const reference of ["latest", kept.manifest.digest]) {
      const response = await pull(manifestPath(KEPT, reference));
      expect(await digestOf(await response.bytes())).toBe(kept.manifest.digest);
    }
    for (const digest of layersOf(kept)) {
      const blob = await pull(`/v2/${KEPT}/blobs/${digest}`);
      expect(await digestOf(await blob.bytes())).toBe(digest);
    }
  });

  test("is filled again by what the origin backfills", async () => {
    await world.backfill(stock, { tag: "latest", pin: PIN, repositories: [KEPT] });
    await world.origin.stop();
    for (const digest of [kept.config.digest, ...layersOf(kept)]) {
      const blob = await pull(`/v2/${KEPT}/blobs/${digest}`);
      expect(await digestOf(await blob.bytes())).toBe(digest);
    }
  });
});

describe("a KV that is empty while R2 is not", () => {
  beforeEach(async () => {
    const [kv] = await storesOf(world);
    for (const { name } of (await kv.list()).keys) await kv.delete(name);
  });

  test("leaves what is kept as it was, and what is composed to the origin", async () => {
    const own = await pull(manifestPath(KEPT, "latest"));
    expect(cacheStatus(own)).toBe("nixport; hit; detail=r2");
    const other = await pull(manifestPath(COMPOSED, "latest"));
    expect(cacheStatus(other)).toBe("nixport; fwd=miss");
    expect(await digestOf(await other.bytes())).toBe(composed.manifest.digest);
    await world.origin.stop();
    await expectUnavailable(await pull(manifestPath(COMPOSED, "latest")));
  });
});

describe("an R2 that does not answer", { timeout: 60_000 }, () => {
  const controls: Controls = { hang: ["r2"], unsettled: true };

  test("leaves manifests that KV has as they were, and blobs to the origin", async () => {
    const own = await pull(manifestPath(KEPT, "latest"), controls);
    expect(await digestOf(await own.bytes())).toBe(kept.manifest.digest);
    const [layer] = layersOf(kept);
    assert(layer);
    const [blob, head, part] = await Promise.all([
      pull(`/v2/${KEPT}/blobs/${layer}`, controls),
      world.pull(`/v2/${KEPT}/blobs/${layer}`, {
        method: "HEAD",
        controls: { ...elsewhere(), ...controls },
      }),
      world.pull(`/v2/${KEPT}/blobs/${layer}`, {
        headers: { Range: "bytes=0-9" },
        controls: { ...elsewhere(), ...controls },
      }),
    ]);
    expect(await digestOf(await blob.bytes())).toBe(layer);
    expect(head.status).toBe(200);
    // This origin knows no ranges.
    expect((await part.bytes()).length).toBeGreaterThan(0);
  });

  test("is 503 for a blob while the origin is stopped", async () => {
    await world.origin.stop();
    const [layer] = layersOf(kept);
    await expectUnavailable(await pull(`/v2/${KEPT}/blobs/${layer}`, controls));
  });
});

describe("what composing reads, damaged in KV", () => {
  const damages: readonly (readonly [title: string, change: (text: string) => string])[] = [
    ["is no JSON any more", (text) => `x${text}`],
    ["is cut", (text) => text.slice(0, text.length / 2)],
    ["is something else", () => '{"of":"another version"}'],
    ["has another digit in a digest", (text) => text.replace(/sha256:./g, flipDigit)],
    ["has another letter in a store path", (text) => text.replace(/\/nix\/store\/./g, flipLetter)],
  ];
  const rows = ["r/", "l/", "t/latest", "latest-pins"].flatMap((prefix) =>
    damages.map(([title, change]) => [prefix, title, change] as const),
  );

  test.for(rows)("%s that %s gives nobody another image", async ([prefix, , change]) => {
    const [kv] = await storesOf(world);
    let changed = 0;
    for (const { name, metadata } of (await kv.list({ prefix })).keys) {
      const text = await kv.get(name, "text");
      assert(text !== null);
      if (change(text) !== text) changed += 1;
      await kv.put(name, change(text), { metadata });
    }
    // Damaged so as nothing of it is.
    const isNeeded = changed > 0 && prefix !== "latest-pins";
    const path = manifestPath(COMPOSED, "latest");
    const up = await pull(path);
    expect(cacheStatus(up)).toBe(`nixport; ${isNeeded ? "fwd=miss" : "hit; detail=composed"}`);
    expect(await digestOf(await up.bytes())).toBe(composed.manifest.digest);
    await world.origin.stop();
    const down = await pull(path);
    if (isNeeded) await expectUnavailable(down);
    else expect(await digestOf(await down.bytes())).toBe(composed.manifest.digest);
  });
});

function flipDigit(found: string): string {
  return `${found.slice(0, -1)}${found.endsWith("0") ? "1" : "0"}`;
}

function flipLetter(found: string): string {
  return `${found.slice(0, -1)}${found.endsWith("a") ? "b" : "a"}`;
}
