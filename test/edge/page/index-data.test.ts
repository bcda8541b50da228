// The package index as pages read it, out of what the origin has given the edge.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { pagePath } from "../../../registry/http/page-route.ts";
import { ingestPath } from "../../../registry/http/route.ts";
import { readSummaries } from "../../../registry/package-index/summary.ts";
import { digestOfText } from "../../registry/fixture.ts";
import { NOW_MS } from "../controls.ts";
import {
  objectsBody,
  PINS,
  rootBody,
  type TwoIndexes,
  twoIndexes,
} from "../ingest/index-bodies.ts";
import { stockOf } from "../stock.ts";
import { elsewhere, startWorld, type World } from "../world.ts";

let world: World;
let indexes: TwoIndexes;
beforeAll(async () => {
  world = await startWorld();
  indexes = await twoIndexes();
});
afterAll(() => world.close());

const ask = (path: string, options?: RequestInit) => fetch(world.edge.url + path, options);
const told = async () => readSummaries(await (await ask(pagePath.index)).json());

describe("the edge answers pages", () => {
  test("with no index while there is none", async () => {
    const response = await ask(pagePath.index);
    expect([response.status, await response.json()]).toStrictEqual([200, { indexes: [] }]);
    const missing = await ask(pagePath.indexObject(digestOfText("nothing")));
    expect([missing.status, missing.headers.get("Cache-Control")]).toStrictEqual([404, "no-store"]);
  });

  test("with the index of the default tag, and its objects as they are", async () => {
    const { root, objects } = indexes.first;
    const stock = await stockOf(["git"]);
    await world.backfill(stock, { tag: "latest", pin: PINS[0], resolvedAtMs: NOW_MS - 2 });
    await world.push("POST", ingestPath.indexObjects, await objectsBody(objects));
    const stored = await world.push("POST", ingestPath.index, await rootBody(root));
    expect(stored.status, await stored.text()).toBe(200);
    const [index] = await told();
    expect(index).toMatchObject({ count: root.count, names: root.names.digest });
    for (const { digest } of [root.names, root.texts, ...root.shards]) {
      const response = await ask(pagePath.indexObject(digest));
      expect(response.headers.get("Content-Encoding")).toBe("gzip");
      expect(response.headers.get("Cache-Control")).toMatch(/^public, max-age=31536000, immutable/);
      const bytes = objects.find((each) => each.digest === digest)?.bytes ?? new Uint8Array();
      expect(Buffer.from(await response.bytes()).equals(bytes)).toBe(true);
      const again = await ask(pagePath.indexObject(digest), {
        headers: { "If-None-Match": response.headers.get("ETag") ?? "" },
      });
      expect(again.status).toBe(304);
      const head = await ask(pagePath.indexObject(digest), { method: "HEAD" });
      expect([head.status, await head.text()]).toStrictEqual([200, ""]);
    }
  });

  test("with that of the revision before while the tag's own is not there", async () => {
    const before = await told();
    expect(before).toHaveLength(1);
    const stock = await stockOf(["git"]);
    await world.backfill(stock, { tag: "latest", pin: PINS[1], resolvedAtMs: NOW_MS - 1 });
    expect(await told()).toStrictEqual(before);
  });

  test("with no index where KV fails, and never with the word that an object is not there", async () => {
    const controls = { ...elsewhere(), fail: ["kv"] } as const;
    const roots = await world.pull(pagePath.index, { controls });
    expect([roots.status, await roots.json()]).toStrictEqual([200, { indexes: [] }]);
    const path = pagePath.indexObject(indexes.first.root.names.digest);
    const object = await world.pull(path, { controls });
    expect([object.status, object.headers.get("Cache-Control")]).toStrictEqual([503, "no-store"]);
    expect(object.headers.has("Retry-After")).toBe(true);
  });
});
