// Users next to the bucket and a continent away, in the simulated world of the bench, where time is
// counted and not measured: what each tier of the platform adds to an answer, and what is left of it when
// the same image is pulled again at a location.

import { fileURLToPath } from "node:url";
import { afterAll, assert, beforeAll, describe, expect, test } from "vitest";
import { PULLING_CLIENTS, pullAs } from "../bench/world/clients.ts";
import {
  ACCESS_BYTES_PER_SECOND,
  FIGURES,
  placeIn,
  REGIONS,
  type Region,
} from "../bench/world/figures.ts";
import { createLine } from "../bench/world/line.ts";
import { operationsOf } from "../bench/world/places.ts";
import { edgeServer } from "../bench/world/servers.ts";
import { simulate } from "../bench/world/simulation.ts";
import { pinOf, READS_ZSTD } from "../registry/fixture.ts";
import { imageOf, type Stock, stockOf } from "./stock.ts";
import { blobPath, manifestPath, startWorld, type World } from "./world.ts";

const NAME = "curl/git";
/** So that a layer has a megabyte: no isolate holds it, and it is kept near its users all the same. */
const LINES = 30_000;
const PIN = pinOf("a".repeat(40));
const kvHot = FIGURES.kvHot.value;
const kvCold = FIGURES.kvCold.value;
const cache = FIGURES.cache.value;
/** The edge looks into R2 as well where KV takes longer. */
const KV_PATIENCE_MS = 150;

let world: World;
let stock: Stock;

beforeAll(async () => {
  const entryPath = fileURLToPath(new URL("../bench/world/worker-entry.js", import.meta.url));
  world = await startWorld({ entryPath, pinFreshSeconds: 10 ** 9 });
  stock = await stockOf(["curl", "git"], "", LINES);
  await world.backfill(stock, { tag: "latest", pin: PIN, repositories: [NAME] });
  await world.origin.stop();
});

afterAll(() => world?.close());

describe.each(REGIONS)("a user $name", (region) => {
  const { r2Ms } = region;
  const layer = () => [...stock.blobs.keys()].at(-1) ?? assert.fail("no layer");
  const digest = async () => (await imageOf(stock, NAME)).manifest.digest;
  const rows = [
    ["the ping", () => "/v2/", 0, 0],
    ["a tag", () => manifestPath(NAME, "latest"), Math.min(kvCold, KV_PATIENCE_MS + r2Ms), kvHot],
    [
      "a digest",
      async () => manifestPath(NAME, await digest()),
      Math.min(kvCold, KV_PATIENCE_MS + r2Ms),
      kvHot,
    ],
    ["a layer", () => blobPath(layer()), cache + r2Ms, cache],
  ] as const;
  test.for(rows)("waits for %s as the tiers take: first, and later", async (row) => {
    const [what, pathOf, first, later] = row;
    const server = edgeServer(
      world.edge,
      placeIn(region, `${what} ${r2Ms}`.replaceAll(" ", "-")),
      0,
    );
    const asked = { method: "GET", path: await pathOf(), userAgent: READS_ZSTD } as const;
    const waited = [(await server.answer(asked)).tookMs, (await server.answer(asked)).tookMs];
    expect(waited).toStrictEqual([first, later]);
  });
});

describe.each(PULLING_CLIENTS)("$name", (client) => {
  const pull = async (region: Region, name: string) => {
    const server = edgeServer(world.edge, placeIn(region, name), 0);
    const line = createLine(ACCESS_BYTES_PER_SECOND);
    const { result, tookMs } = await simulate((world) =>
      pullAs(client, world, { repository: NAME, server, line }),
    );
    return { ...result, tookMs, operations: await operationsOf(world.edge) };
  };

  test("pulls again from afar in the time that it takes nearby, without the bucket", async () => {
    const later = [];
    for (const region of REGIONS) {
      const name = `${client.name}-${region.r2Ms}`;
      const first = await pull(region, name);
      expect(first.operations.r2Reads).toBeGreaterThanOrEqual(first.layers);
      later.push(await pull(region, name));
    }
    const [near, far] = later;
    assert(near && far);
    expect([near.operations.r2Reads, far.operations.r2Reads]).toStrictEqual([0, 0]);
    expect(far.tookMs / near.tookMs).toBeLessThanOrEqual(1.2);
  });
});
