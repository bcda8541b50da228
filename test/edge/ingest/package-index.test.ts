// A package index as it comes to an edge: objects only with the bytes of their digests, patches only of what is
// here, a root only when all that it names is; and what is lacking is named.

import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { MAX_CALLS_PER_BODY } from "../../../registry/between/backfill.ts";
import { ingestPath } from "../../../registry/http/route.ts";
import type { Digest } from "../../../registry/naming/digest.ts";
import {
  encodeObjects,
  MAX_OBJECT_BYTES,
  MAX_OBJECTS_PER_BODY,
} from "../../../registry/package-index/bodies.ts";
import { pack } from "../../../registry/package-index/gzip.ts";
import { digestOfText } from "../../registry/fixture.ts";
import { errorOf, startWorld, subrequestsOf, type World } from "../world.ts";
import { emptyStores, storesOf } from "./from-origin.ts";
import {
  indexOf,
  objectsBody,
  PINS,
  patchesBody,
  rootBody,
  type TwoIndexes,
  twoIndexes,
} from "./index-bodies.ts";

let world: World;
let indexes: TwoIndexes;

beforeAll(async () => {
  world = await startWorld();
  indexes = await twoIndexes();
  await world.origin.stop();
});
afterAll(() => world.close());
beforeEach(() => emptyStores(world));

const post = (path: string, body: Uint8Array) => world.push("POST", path, body);

async function keptKeys(): Promise<readonly string[]> {
  const [kv] = await storesOf(world);
  return (await kv.list()).keys.map(({ name }) => name);
}

const keyOf = (digest: Digest) => `x/${digest.slice("sha256:".length)}`;

async function sendFirst(): Promise<void> {
  const { objects, root } = indexes.first;
  for (const [path, body] of [
    [ingestPath.indexObjects, await objectsBody(objects)],
    [ingestPath.index, await rootBody(root)],
  ] as const) {
    const response = await post(path, body);
    expect(response.status, await response.text()).toBe(200);
  }
}

describe("an edge that is given a package index", () => {
  test("keeps all objects and the root, within the calls that a request may make", async () => {
    const { objects, root } = indexes.first;
    expect(objects.length).toBeGreaterThan(5);
    const sent = await post(ingestPath.indexObjects, await objectsBody(objects));
    expect(sent.status).toBe(200);
    expect(subrequestsOf(sent).all).toStrictEqual({ "kv.put": objects.length });
    const told = await post(ingestPath.index, await rootBody(root));
    expect(told.status).toBe(200);
    expect(subrequestsOf(told).all).toStrictEqual({ "kv.get": 1, "kv.put": 1 });
    const keys = [...objects.map(({ digest }) => keyOf(digest)), `i/${PINS[0]}/x86_64-linux`];
    expect(await keptKeys()).toStrictEqual(keys.sort());
  });

  test("makes what changed of patches, and then takes the root", async () => {
    await sendFirst();
    const { second, patches } = indexes;
    const refused = await post(ingestPath.index, await rootBody(second.root));
    expect(refused.status).toBe(404);
    const { code, detail } = await errorOf(refused);
    const changed = patches.map(({ digest }) => digest).sort();
    expect({ code, detail }).toStrictEqual({ code: "MANIFEST_BLOB_UNKNOWN", detail: changed });
    const patched = await post(ingestPath.indexPatches, await patchesBody(patches));
    expect(patched.status, await patched.text()).toBe(200);
    const { length } = patches;
    expect(subrequestsOf(patched).all).toStrictEqual({ "kv.get": length, "kv.put": length });
    expect((await post(ingestPath.index, await rootBody(second.root))).status).toBe(200);
  });

  test("names what cannot be made of patches, and keeps what can", async () => {
    await sendFirst();
    const [lost, ...others] = indexes.patches;
    const [kv] = await storesOf(world);
    await kv.delete(keyOf(lost?.base ?? digestOfText("none")));
    const response = await post(ingestPath.indexPatches, await patchesBody(indexes.patches));
    expect(response.status).toBe(404);
    expect((await errorOf(response)).detail).toStrictEqual([lost?.digest]);
    const keys = await keptKeys();
    expect(others.filter(({ digest }) => !keys.includes(keyOf(digest)))).toStrictEqual([]);
    expect(others.length).toBeGreaterThan(0);
  });

  test("keeps nothing of a patch that does not make its digest", async () => {
    await sendFirst();
    const before = await keptKeys();
    const [patch] = indexes.patches;
    const other = { ...patch, digest: digestOfText("another") } as (typeof indexes.patches)[number];
    const response = await post(ingestPath.indexPatches, await patchesBody([other]));
    expect((await errorOf(response)).detail).toStrictEqual([other.digest]);
    expect(await keptKeys()).toStrictEqual(before);
  });

  test("keeps nothing of a body of objects of which one is not of its digest", async () => {
    const [first, second] = indexes.first.objects;
    const bytes = await pack(first?.bytes ?? new Uint8Array());
    const body = encodeObjects([
      { digest: first?.digest ?? digestOfText("none"), packed: bytes },
      { digest: second?.digest ?? digestOfText("none"), packed: bytes },
    ]);
    const response = await post(ingestPath.indexObjects, body);
    expect(response.status).toBe(400);
    expect((await errorOf(response)).code).toBe("DIGEST_INVALID");
    expect(await keptKeys()).toStrictEqual([]);
  });

  const malformed: readonly (readonly [string, string, () => Promise<Uint8Array>])[] = [
    ["no objects", ingestPath.indexObjects, async () => new Uint8Array()],
    [
      "objects without their end",
      ingestPath.indexObjects,
      async () => (await objectsBody(indexes.first.objects)).subarray(0, -1),
    ],
    [
      "more objects than calls",
      ingestPath.indexObjects,
      async () => {
        const packed = await pack(new Uint8Array());
        const digest = digestOfText("");
        return encodeObjects(new Array(MAX_OBJECTS_PER_BODY + 1).fill({ digest, packed }));
      },
    ],
    ["patches that are no gzip", ingestPath.indexPatches, async () => new Uint8Array(100)],
    ["patches of another shape", ingestPath.indexPatches, () => packedJson({ patches: [{}] })],
    [
      "more patches than calls",
      ingestPath.indexPatches,
      () => packedJson({ patches: new Array(MAX_CALLS_PER_BODY).fill(indexes.patches[0]) }),
    ],
    ["a root that is no gzip", ingestPath.index, async () => new Uint8Array(100)],
    ["a root of another shape", ingestPath.index, () => packedJson({ format: 1 })],
    [
      "a root that unpacks to more than any",
      ingestPath.index,
      async () => pack(new Uint8Array(MAX_OBJECT_BYTES)),
    ],
  ];
  test.for(malformed)("refuses %s", async ([, path, body]) => {
    const response = await post(path, await body());
    expect(response.status).toBe(400);
    expect((await errorOf(response)).code).toBe("MANIFEST_INVALID");
    expect(await keptKeys()).toStrictEqual([]);
  });

  test("refuses an object that unpacks to more than it has room for", async () => {
    const packed = await pack(new Uint8Array(MAX_OBJECT_BYTES + 1));
    const body = encodeObjects([{ digest: digestOfText("large"), packed }]);
    const response = await post(ingestPath.indexObjects, body);
    expect((await errorOf(response)).code).toBe("DIGEST_INVALID");
  });

  test("looks for all objects of a large root within the calls of a request", async () => {
    const { root } = indexes.first;
    const shards = Array.from({ length: 4096 }, (_, place) => ({
      from: place === 0 ? "" : `a${String(place).padStart(5, "0")}`,
      ...{ digest: digestOfText(`shard ${place}`), sizeBytes: 1000 },
    }));
    const response = await post(ingestPath.index, await rootBody({ ...root, shards }));
    const { code, detail } = await errorOf(response);
    expect(code).toBe("MANIFEST_BLOB_UNKNOWN");
    expect((detail as unknown[]).length).toBeGreaterThan(100);
    expect(subrequestsOf(response).all).toStrictEqual({ "kv.get": 41 });
    expect(await keptKeys()).toStrictEqual([]);
  });

  test("takes the root of a set without names", async () => {
    const empty = await indexOf(PINS[0], []);
    const objects = await post(ingestPath.indexObjects, await objectsBody(empty.objects));
    expect(objects.status).toBe(200);
    expect((await post(ingestPath.index, await rootBody(empty.root))).status).toBe(200);
  });
});

const packedJson = (json: unknown) => pack(new TextEncoder().encode(JSON.stringify(json)));
