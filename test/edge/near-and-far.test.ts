// Users next to the bucket and a continent away, in the simulated world of the bench, where time is
// counted and not measured: what each tier of the platform adds to an answer.

import { fileURLToPath } from "node:url";
import { afterAll, assert, beforeAll, describe, expect, test } from "vitest";
import { FIGURES, placeIn, REGIONS } from "../bench/world/figures.ts";
import { edgeServer } from "../bench/world/servers.ts";
import { pinOf, READS_ZSTD } from "../registry/fixture.ts";
import { imageOf, type Stock, stockOf } from "./stock.ts";
import { blobPath, manifestPath, startWorld, type World } from "./world.ts";

const NAME = "curl/git";
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
  stock = await stockOf(["curl", "git"]);
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
      Math.min(kvCold, KV_PATIENCE_MS + cache + r2Ms),
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
