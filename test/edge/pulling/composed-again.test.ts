// What is asked for by a digest that is not kept: looked for among the images of the name, within bounds.

import { afterAll, assert, beforeAll, describe, expect, test } from "vitest";
import { digestHex } from "../../../registry/naming/digest.ts";
import { digestOfText, pinOf, tagOf } from "../../registry/fixture.ts";
import { NOW_MS } from "../controls.ts";
import { imageOf, lookupsBody, recordsBody, type Stock, stockOf, tagPins } from "../stock.ts";
import {
  cacheStatus,
  elsewhere,
  manifestPath,
  operationsOf,
  startWorld,
  subrequestsOf,
  type World,
} from "../world.ts";

describe("a digest that is not kept", () => {
  let world: World;
  const pins = Array.from({ length: 17 }, (_, age) => pinOf(age.toString(16).padStart(40, "0")));
  const editions: Stock[] = [];
  beforeAll(async () => {
    world = await startWorld();
    // The oldest first, as time goes.
    for (const [age, pin] of [...pins.entries()].toReversed()) {
      const stock = await stockOf(["git", "htop"], `-${age}`);
      editions[age] = stock;
      await world.pushBlobs(stock);
      const resolvedAtMs = NOW_MS - 1000 * age;
      const told = { tag: tagOf("latest"), pins: tagPins(stock, pin, resolvedAtMs) };
      await ok(world.push("POST", "/ingest/records", recordsBody(stock)));
      await ok(world.push("POST", "/ingest/lookups", lookupsBody(stock, pin)));
      await ok(world.push("POST", "/ingest/pointers", { tag: told, image: null }));
    }
    await world.origin.stop();
  });
  afterAll(() => world.close());

  test.for([
    [0, 200],
    [5, 200],
    [15, 200],
    [16, 503],
  ] as const)(
    "is looked for at the sixteen pins that came last: at that of place %i it is %i",
    async ([age, status]) => {
      const edition = editions[age];
      assert(edition);
      const image = await imageOf(edition, "git/htop");
      const response = await world.pull(manifestPath("git/htop", image.manifest.digest), {
        controls: elsewhere(),
      });
      expect(response.status).toBe(status);
      await response.body?.cancel();
    },
  );

  test.for([
    [1, true],
    [0, false],
  ] as const)(
    "of what the tag had or has, at place %i, is kept at once: %s",
    async ([age, isKept]) => {
      const edition = editions[age];
      assert(edition);
      const { manifest } = await imageOf(edition, "htop");
      const path = manifestPath("htop", manifest.digest);
      const first = await world.pull(path, { controls: elsewhere() });
      expect(cacheStatus(first)).toBe("nixport; hit; detail=composed");
      const second = await world.pull(path, { controls: elsewhere() });
      expect(cacheStatus(second)).toBe(`nixport; hit; detail=${isKept ? "kv" : "composed"}`);
    },
  );

  test("is composed before R2 is asked where it is the likeliest of its name, and after it of any other", async () => {
    const pulled = async (place: number) => {
      const edition = editions[place];
      assert(edition);
      const { digest } = (await imageOf(edition, "git")).manifest;
      const response = await world.pull(manifestPath("git", digest), { controls: elsewhere() });
      expect(response.headers.get("Docker-Content-Digest")).toBe(digest);
      return { digest, detail: cacheStatus(response), before: subrequestsOf(response).before };
    };
    const composing = { "kv.get": 1, "kv.getWithMetadata": 1 + 2 };
    const likeliest = await pulled(0);
    expect(likeliest.before).toStrictEqual(composing);
    const other = await pulled(2);
    expect(other.before).toStrictEqual({ ...composing, "r2.get": 1 });
    // Kept by now, and KV has forgotten it.
    const kv = await world.edge.miniflare.getKVNamespace("KV");
    await kv.delete(`m/${digestHex(other.digest)}`);
    const stored = await pulled(2);
    expect(stored.detail).toBe("nixport; hit; detail=r2");
  });

  test("and that no image of the name has takes a bounded number of reads", async () => {
    const path = manifestPath("git/htop", digestOfText("nothing"));
    const response = await world.pull(path, { controls: elsewhere() });
    expect(response.status).toBe(503);
    // The pins; the manifest itself, the lookups at the newest of them, and at the others; the records of each in two packings.
    expect(operationsOf(response)).toStrictEqual({
      "kv.get": 1,
      "kv.getWithMetadata": 1 + 2 + 2,
      "r2.get": 1,
    });
    await response.body?.cancel();
  });

  test("is no config of a new image but once, however many layers are asked for", async () => {
    const layer = (name: string) => `/v2/git/nothere/blobs/${digestOfText(name)}`;
    const controls = { location: "of layers" };
    const first = await world.pull(layer("one"), { controls });
    expect(operationsOf(first)).toStrictEqual({
      "r2.get": 1,
      "kv.get": 1,
      "kv.getWithMetadata": 2,
    });
    const second = await world.pull(layer("two"), { controls });
    expect(operationsOf(second)).toStrictEqual({ "r2.get": 1 });
    const later = { ...controls, nowMs: NOW_MS + 10_000 };
    const third = await world.pull(layer("three"), { controls: later });
    expect(operationsOf(third)).toStrictEqual({
      "r2.get": 1,
      "kv.get": 1,
      "kv.getWithMetadata": 2,
    });
    for (const each of [first, second, third]) await each.body?.cancel();
  });

  test("is not looked for with another composer than the origin's", async () => {
    const [stock] = editions;
    assert(stock);
    const pinned = tagPins(stock, pinOf("f".repeat(40)), NOW_MS);
    const told = { tag: tagOf("other"), pins: { ...pinned, composeVersion: 999 } };
    await ok(world.push("POST", "/ingest/pointers", { tag: told, image: null }));
    const image = await imageOf(stock, "git/htop");
    const response = await world.pull(manifestPath("git/htop", image.manifest.digest), {
      controls: elsewhere(),
    });
    expect(response.status).toBe(503);
    await response.body?.cancel();
  });
});

async function ok(answer: Promise<Response>): Promise<void> {
  const response = await answer;
  const text = await response.text();
  assert(response.ok, `${response.status} ${text}`);
}
