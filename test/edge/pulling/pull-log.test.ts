// What a local edge logs of pulls that it answers from what is cached.

import { expect, onTestFinished, test } from "vitest";
import { pinOf } from "../../registry/fixture.ts";
import { NOW_MS } from "../controls.ts";
import { stockOf } from "../stock.ts";
import { manifestPath, PIN_FRESH_MS, startWorld, type World } from "../world.ts";

const PIN = pinOf("a".repeat(40));

async function pulls(world: World, resolvedAtMs: number): Promise<readonly unknown[]> {
  const repositories = ["git"];
  await world.backfill(await stockOf(["git"]), { tag: "x", pin: PIN, resolvedAtMs, repositories });
  await world.pull(manifestPath("git", "x"));
  await world.pull(manifestPath("git", "elsewhere"));
  await world.pull("/v2/");
  return world.log
    .map((line) => JSON.parse(line))
    .filter(({ event }) => event === "answered")
    .map(({ ms, ...facts }) => ({ ...facts, hasMs: typeof ms === "number" }));
}

const ANSWERED = {
  ...{ level: "info", event: "answered", hasMs: true },
  ...{ image: "git", tag: "x", variant: "oci-zstd", status: 200 },
};

test("a local edge logs a pull that it answers, and none that it hands on", async () => {
  const world = await startWorld({ logPulls: true });
  onTestFinished(() => world.close());
  expect(await pulls(world, NOW_MS)).toStrictEqual([
    { ...ANSWERED, answer: "remembered", tier: "kv" },
  ]);
});

test("a local edge logs that its answer is stale", async () => {
  const world = await startWorld({ logPulls: true });
  onTestFinished(() => world.close());
  expect(await pulls(world, NOW_MS - PIN_FRESH_MS)).toStrictEqual([
    { ...ANSWERED, answer: "stale", tier: "kv" },
  ]);
});

test("a deployed edge logs no pull", async () => {
  const world = await startWorld();
  onTestFinished(() => world.close());
  expect(await pulls(world, NOW_MS)).toStrictEqual([]);
});
