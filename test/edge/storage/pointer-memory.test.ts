// What an isolate remembers of a tag for some seconds, so that a hot one costs no read, and what it never
// outlives.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { pinOf } from "../../registry/fixture.ts";
import { type Controls, NOW_MS } from "../controls.ts";
import { registryError } from "../fake-origin.ts";
import { type Stock, stockOf } from "../stock.ts";
import {
  cacheStatus,
  manifestPath,
  operationsOf,
  PIN_FRESH_MS,
  startWorld,
  type World,
} from "../world.ts";

const MEMORY_MS = 5000;
const OLD_PIN = pinOf("a".repeat(40));
const NEW_PIN = pinOf("b".repeat(40));
const NEWER_MS = NOW_MS + 1;

describe("a tag's pointer in the isolate's memory", () => {
  let world: World;
  let stock: Stock;
  let newer: Stock;
  beforeAll(async () => {
    world = await startWorld({ pointerMemorySeconds: MEMORY_MS / 1000 });
    stock = await stockOf(["git"]);
    newer = await stockOf(["git"], "-newer");
  });
  afterAll(() => world.close());

  const repositories = ["git"];
  const pull = async (tag: string, controls: Controls) => {
    const response = await world.pull(manifestPath("git", tag), { controls });
    await response.body?.cancel();
    return response;
  };
  const pinAt = async (tag: string, controls: Controls) =>
    (await pull(tag, controls)).headers.get("Nixport-Pin");

  /** By another isolate, of which this one hears nothing. */
  async function moveElsewhere(tag: string, resolvedAtMs: number): Promise<void> {
    const moved = { tag, pin: NEW_PIN, resolvedAtMs, repositories };
    const push = world.push;
    world.push = (method, path, body, options) =>
      push(method, path, body, {
        ...options,
        controls: { isolate: "another", nowMs: resolvedAtMs },
      });
    await world.backfill(newer, moved).finally(() => {
      world.push = push;
    });
  }

  const rows: readonly (readonly [title: string, ageMs: number, atMs: number, pin: string])[] = [
    ["answers for its seconds", 0, MEMORY_MS - 1, OLD_PIN],
    ["and not for longer", 0, MEMORY_MS, NEW_PIN],
    ["answers while it is fresh", PIN_FRESH_MS - 2, 1, OLD_PIN],
    ["and not when it is stale", PIN_FRESH_MS - 2, 2, NEW_PIN],
  ];
  test.for(rows.map((row, index) => [...row, index] as const))(
    "%s, where the tag has moved elsewhere",
    async ([, ageMs, atMs, pin, index]) => {
      const tag = `moved-${index}`;
      const resolvedAtMs = NOW_MS - ageMs;
      await world.backfill(stock, { tag, pin: OLD_PIN, resolvedAtMs, repositories });
      expect(await pinAt(tag, {})).toBe(OLD_PIN);
      await moveElsewhere(tag, NEWER_MS);
      expect(await pinAt(tag, { nowMs: NOW_MS + atMs })).toBe(pin);
      // An isolate that remembers nothing sees it at once.
      expect(await pinAt(tag, { coldMemory: true })).toBe(NEW_PIN);
    },
  );

  test("is not looked up again, of whatever spelling of the name", async () => {
    await world.backfill(stock, { tag: "hot", pin: OLD_PIN, repositories });
    await pull("hot", {});
    for (const name of ["git", "git/cacert"]) {
      const response = await world.pull(manifestPath(name, "hot"));
      expect(cacheStatus(response)).toBe("nixport; hit; detail=memory");
      expect(operationsOf(response)).toStrictEqual({});
      await response.body?.cancel();
    }
  });

  test("makes way for what this isolate is given", async () => {
    await world.backfill(stock, { tag: "given", pin: OLD_PIN, repositories });
    expect(await pinAt("given", {})).toBe(OLD_PIN);
    await world.backfill(newer, { tag: "given", pin: NEW_PIN, resolvedAtMs: NOW_MS, repositories });
    expect(await pinAt("given", {})).toBe(NEW_PIN);
  });

  test("is forgotten with its tag", async () => {
    const tag = "gone";
    await world.backfill(stock, { tag, pin: OLD_PIN, repositories });
    expect((await pull(tag, {})).status).toBe(200);
    world.origin.answering = () =>
      registryError(404, "MANIFEST_UNKNOWN", "no such tag", {}, [{ reason: "unknown-tag" }]);
    const stale = { nowMs: NOW_MS + PIN_FRESH_MS };
    expect((await pull(tag, stale)).status).toBe(200);
    expect((await pull(tag, {})).status).toBe(404);
  });

  test("remembers nothing where it is not there", async () => {
    await world.backfill(stock, { tag: "later", pin: OLD_PIN });
    await world.origin.stop();
    expect((await pull("never", {})).status).toBe(503);
    await moveElsewhere("never", NOW_MS);
    expect((await pull("never", {})).status).toBe(200);
  });
});
