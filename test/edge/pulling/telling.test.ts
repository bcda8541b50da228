// What an edge tells its origin of the pulls that it answers by itself, on workerd.

import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { TELL_AFTER_MS, TELL_AGAIN_MS } from "../../../registry/between/pulled-images.ts";
import { canonicalRecipe } from "../../../registry/naming/recipe.ts";
import { pinOf, recipeOf } from "../../registry/fixture.ts";
import { type Controls, NOW_MS } from "../controls.ts";
import { storesOf } from "../ingest/from-origin.ts";
import { imageOf, PACKINGS, type Stock, stockOf } from "../stock.ts";
import { elsewhere, manifestPath, operationsOf, startWorld, type World } from "../world.ts";

const PIN = pinOf("a".repeat(40));
let world: World;
let stock: Stock;

beforeAll(async () => {
  [world, stock] = await Promise.all([startWorld(), stockOf(["git", "htop", "jq"])]);
  await world.backfill(stock, { tag: "latest", pin: PIN, repositories: ["git"] });
});

afterAll(() => world.close());

beforeEach(() => {
  world.origin.told.length = 0;
});

const told = () => world.origin.told.map((body) => JSON.parse(body).images);

async function pull(
  name: string,
  reference = "latest",
  controls: Controls = {},
): Promise<Response> {
  const response = await world.pull(manifestPath(name, reference), { controls });
  expect(response.status).toBe(200);
  await response.body?.cancel();
  return response;
}

async function noteOf(name: string, tag: string | null = "latest") {
  const { manifest } = await imageOf(stock, name);
  const recipe = canonicalRecipe(recipeOf(name));
  return { manifests: [manifest.digest], of: { recipe, tag, pin: PIN, packing: PACKINGS.zstd } };
}

describe("an edge that answers a pull by itself", () => {
  test.for([
    ["of what is kept, by tag", "git", "latest"],
    ["of what it composes, by tag", "htop/jq", "latest"],
    ["of what it composes, by digest", "git/htop", "digest"],
  ] as const)("tells its origin %s", async ([, name, by]) => {
    const note = await noteOf(name, by === "digest" ? null : "latest");
    const reference = by === "digest" ? (note.manifests[0] ?? "") : by;
    await pull(name, reference, elsewhere());
    expect(told()).toStrictEqual([[note]]);
  });

  test("tells of what is kept and asked for by its digest no more than that", async () => {
    const [digest = ""] = (await noteOf("git")).manifests;
    await pull("git", digest, elsewhere());
    expect(told()).toStrictEqual([[{ manifests: [digest], of: null }]]);
  });

  test("reads and writes for it nothing of its own", async () => {
    const response = await pull("git", "latest", elsewhere());
    expect(operationsOf(response)).toStrictEqual({ "kv.getWithMetadata": 1 });
    expect(told()).toHaveLength(1);
  });

  test("tells of a pull once, by tag and then by digest, and again half an hour later", async () => {
    // Its own hours: what this isolate has told is remembered from one test to the next.
    const [digest = ""] = (await noteOf("git/jq")).manifests;
    const startMs = NOW_MS + 3_600_000;
    for (const [reference, atMs] of [
      ["latest", 0],
      ["latest", 1000],
      [digest, 2000],
      ["latest", TELL_AGAIN_MS - 1],
      ["latest", TELL_AGAIN_MS],
    ] as const) {
      await pull("git/jq", reference, { nowMs: startMs + atMs });
    }
    const note = await noteOf("git/jq");
    expect(told()).toStrictEqual([[note], [note]]);
  });

  test("tells of several together, once in a minute", async () => {
    const startMs = NOW_MS + 20 * 3_600_000;
    for (const [name, atMs] of [
      ["git", 0],
      ["htop", 1000],
      ["jq", TELL_AFTER_MS - 1],
      ["git", TELL_AFTER_MS],
    ] as const) {
      await pull(name, "latest", { nowMs: startMs + atMs });
    }
    expect(told()).toStrictEqual([
      [await noteOf("git")],
      [await noteOf("htop"), await noteOf("jq")],
    ]);
  });

  test("answers all the same where the origin does not listen", async () => {
    await world.origin.stop();
    await pull("git", "latest", elsewhere());
    await world.origin.start();
    expect(told()).toStrictEqual([]);
  });
});

test.for([
  ["origin", { originUrl: "" }],
  ["secret", { secret: "" }],
] as const)("an edge without %s tells nobody, and logs nothing of it", async ([, without]) => {
  const alone = await startWorld(without);
  try {
    const [[from], [to]] = await Promise.all([storesOf(world), storesOf(alone)]);
    for (const { name } of (await from.list()).keys) {
      const { value, metadata } = await from.getWithMetadata(name, "arrayBuffer");
      await to.put(name, value ?? expect.unreachable(), { metadata });
    }
    expect((await alone.pull(manifestPath("git", "latest"))).status).toBe(200);
    expect(alone.log.filter((line) => line.includes("tell of pulls"))).toStrictEqual([]);
    expect(alone.origin.told).toStrictEqual([]);
  } finally {
    await alone.close();
  }
});
