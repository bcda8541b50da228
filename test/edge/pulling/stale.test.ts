// What is beyond its fresh time, kept or composed: answered at once, refreshed behind, forgotten with its
// tag.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type BuildFailure, failureError } from "../../../origin/failures/failures.ts";
import { pinOf } from "../../registry/fixture.ts";
import { NOW_MS } from "../controls.ts";
import { registryError } from "../fake-origin.ts";
import { imageOf, PACKINGS, type Stock, stockOf } from "../stock.ts";
import { manifestPath, PIN_FRESH_MS, startWorld, type World } from "../world.ts";

const PIN = pinOf("a".repeat(40));

const WAYS = [
  ["a kept image", ["git"]],
  ["an image that is composed", []],
] as const;

describe.for(WAYS)("%s that is stale", ([, repositories]) => {
  const isKept = repositories.length > 0;
  let world: World;
  let stock: Stock;
  beforeAll(async () => {
    world = await startWorld();
    stock = await stockOf(["git"]);
  });
  afterAll(() => world.close());

  const stale = { nowMs: NOW_MS + PIN_FRESH_MS };

  test("is answered at once with a warning while the origin still builds", async () => {
    await world.backfill(stock, { tag: "slow", pin: PIN, repositories });
    // Never answered: an edge that waited for it would not answer either.
    world.origin.answering = () => "by hand";
    const response = await world.pull(manifestPath("git", "slow"), {
      controls: { ...stale, unsettled: true },
    });
    expect(response.status).toBe(200);
    expect(response.headers.get("Warning") ?? "").toMatch(
      /^299 - "nixport: slow was last resolved/,
    );
    expect(response.headers.get("Nixport-Packing")).toBe(PACKINGS.zstd);
  });

  test("is refreshed behind the answer by one HEAD", async () => {
    await world.backfill(stock, { tag: "moving", pin: PIN, repositories });
    world.origin.answering = () => ({ status: 200 });
    world.origin.asked.length = 0;
    await Promise.all(
      [1, 2, 3].map(() => world.pull(manifestPath("git", "moving"), { controls: stale })),
    );
    const asked = world.origin.asked.map(({ method, path }) => `${method} ${path}`);
    expect(asked).toStrictEqual([`HEAD ${manifestPath("git", "moving")}`]);
    // So that what is newer is kept as well.
    expect(world.origin.asked[0]?.headers["nixport-kept"]).toBe(isKept ? "1" : undefined);
  });

  test("is so where the clock was set back after it was resolved", async () => {
    await world.backfill(stock, { tag: "set-back", pin: PIN, repositories });
    world.origin.answering = () => ({ status: 200 });
    world.origin.asked.length = 0;
    const path = manifestPath("git", "set-back");
    const response = await world.pull(path, { controls: { nowMs: NOW_MS - 3_600_000 } });
    expect(response.headers.get("Warning") ?? "").toMatch(/set-back was last resolved 0 s ago/);
    expect(world.origin.asked.map(({ method }) => method)).toStrictEqual(["HEAD"]);
  });

  test("says why the origin has nothing newer, once that has said so", async () => {
    const path = manifestPath("git", "unloadable");
    await world.backfill(stock, { tag: "unloadable", pin: PIN, repositories });
    const why = '299 - "nixport: unloadable has moved on: the package set does not load"';
    const warnings: (string | null)[] = [];
    for (const [atMs, headers] of [
      [0, { Warning: why }],
      [10_000, {}],
      [20_000, {}],
    ] as const) {
      world.origin.answering = () => ({ status: 200, headers });
      const controls = { nowMs: stale.nowMs + atMs };
      warnings.push((await world.pull(path, { controls })).headers.get("Warning"));
    }
    expect(warnings[0]).toMatch(/is being refreshed"$/);
    expect(warnings[1]).toBe(why);
    expect(warnings[2]).toMatch(/is being refreshed"$/);
  });

  const failures: readonly (readonly [string, BuildFailure, number])[] = [
    ["is forgotten once its tag is unknown", { kind: "unknown-tag", message: "none" }, 404],
    ["stays when the image cannot be made any more", { kind: "too-many-layers", count: 999 }, 200],
  ];
  test.for(failures)("%s", async ([, failure, status]) => {
    const path = manifestPath("git", failure.kind);
    await world.backfill(stock, { tag: failure.kind, pin: PIN, repositories });
    const { code, message, options } = failureError(failure);
    world.origin.answering = () => registryError(404, code, message, {}, options.detail);
    expect((await world.pull(path, { controls: stale })).status).toBe(200);
    expect((await world.pull(path, { controls: stale })).status).toBe(status);
  });

  test("is answered with the origin stopped, and without a warning once it has moved", async () => {
    await world.backfill(stock, { tag: "down", pin: PIN, repositories });
    await world.origin.stop();
    const before = await world.pull(manifestPath("git", "down"), { controls: stale });
    expect(before.status).toBe(200);
    expect(before.headers.has("Warning")).toBe(true);
    await world.origin.start();
    const newer = await stockOf(["git"], "-2");
    const resolvedAtMs = NOW_MS + PIN_FRESH_MS - 1;
    const { manifest } = await imageOf(newer, "git");
    const controls = { nowMs: NOW_MS + 1 };
    await world.backfill(newer, { tag: "unused", pin: pinOf("c".repeat(40)) });
    await world.backfill(newer, {
      tag: "down",
      pin: pinOf("b".repeat(40)),
      ...{ resolvedAtMs, repositories },
    });
    const after = await world.pull(manifestPath("git", "down"), { controls });
    expect(after.headers.get("Docker-Content-Digest")).toBe(manifest.digest);
    expect(after.headers.get("Warning")).toBeNull();
  });

  test("is never stale where the tag is a commit", async () => {
    await world.backfill(stock, { tag: PIN, pin: PIN, repositories });
    const response = await world.pull(manifestPath("git", PIN), {
      controls: { nowMs: NOW_MS + 1000 * PIN_FRESH_MS },
    });
    expect(response.status).toBe(200);
    expect(response.headers.get("Warning")).toBeNull();
  });
});
