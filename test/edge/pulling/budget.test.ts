// What a request costs, as numbers: reads of a warm pull and of one that is composed, nothing written before
// an answer and nothing ever listed, and all of it within what Cloudflare's free plan allows a request.

import { afterAll, assert, beforeAll, describe, expect, test } from "vitest";
import {
  callsForLookups,
  callsForRecords,
  cutBodies,
  MAX_LOOKUPS_PER_BODY,
  MAX_RECORDS_PER_BODY,
} from "../../../registry/between/backfill.ts";
import { ingestPath } from "../../../registry/http/route.ts";
import type { ComposedImage } from "../../../registry/image/compose.ts";
import { OCI_INDEX, OCI_MANIFEST } from "../../../registry/image/media-type.ts";
import { digestOfText, pinOf, tagOf } from "../../registry/fixture.ts";
import { madeUpSet } from "../../registry/package-index/made-up-set.ts";
import { type Controls, NOW_MS } from "../controls.ts";
import { indexOf, sendIndex } from "../package-index/indexed.ts";
import { imageOf, lookupsBody, recordsBody, type Stock, stockOf, tagPins } from "../stock.ts";
import {
  cacheStatus,
  elsewhere,
  manifestPath,
  type Operations,
  type Pull,
  startWorld,
  subrequestsOf,
  type World,
} from "../world.ts";

const PIN = pinOf("a".repeat(40));
const NAMES = ["curl", "git", "htop", "jq", "perl", "tree", "vim"];
/** Of a request on the free plan, calls of KV, R2 and the cache and what is fetched alike. */
const SUBREQUESTS = 50;

function writes(operations: Operations): readonly string[] {
  return Object.keys(operations).filter(
    (each) => !/\.(?:get|getWithMetadata|head|match)$/.test(each),
  );
}

function total(operations: Operations): number {
  return Object.values(operations).reduce((sum, count) => sum + count, 0);
}

describe("a pull", () => {
  let world: World;
  let stock: Stock;
  let image: ComposedImage;
  beforeAll(async () => {
    world = await startWorld({ pointerMemorySeconds: 5 });
    stock = await stockOf(NAMES);
    image = await imageOf(stock, "git");
    await world.backfill(stock, { tag: "latest", pin: PIN, repositories: ["git"] });
    await world.origin.stop();
  });
  afterAll(() => world.close());

  const layer = () => `/v2/git/blobs/${[...stock.blobs.keys()].at(-1)}`;
  const byDigest = () => manifestPath("git", image.manifest.digest);
  const rows: readonly {
    readonly title: string;
    readonly path: () => string;
    readonly pull?: Pull;
    /** What has been pulled before in the same isolate. */
    readonly after?: readonly string[];
    readonly takes: Operations;
  }[] = [
    {
      title: "a warm tag",
      path: () => manifestPath("git", "latest"),
      takes: { "kv.getWithMetadata": 1 },
    },
    {
      title: "a hot tag",
      path: () => manifestPath("git", "latest"),
      after: [manifestPath("git", "latest")],
      takes: {},
    },
    { title: "a warm digest", path: byDigest, takes: { "kv.getWithMetadata": 1 } },
    { title: "a hot digest", path: byDigest, after: [manifestPath("git", "latest")], takes: {} },
    {
      title: "HEAD of a warm tag",
      path: () => manifestPath("git", "latest"),
      pull: { method: "HEAD" },
      takes: { "kv.getWithMetadata": 1 },
    },
    {
      // The pointer; the pins of the tag; the lookups; the records.
      title: "a combination nobody pulled, by an isolate that has just started",
      path: () => manifestPath("curl/git/htop/jq/perl", "latest"),
      takes: { "kv.getWithMetadata": 1 + 2, "kv.get": 1 },
    },
    {
      title: "one by an isolate that knows the tag",
      path: () => manifestPath("curl/htop/jq/perl", "latest"),
      after: [manifestPath("tree", "latest")],
      takes: { "kv.getWithMetadata": 1 + 2 },
    },
    {
      title: "one by an isolate that has composed others of its packages",
      path: () => manifestPath("htop/tree/vim", "latest"),
      after: [manifestPath("htop/vim", "latest"), manifestPath("tree", "latest")],
      takes: { "kv.getWithMetadata": 1 },
    },
    { title: "a blob", path: layer, takes: { "cache.match": 1, "r2.get": 1 } },
    {
      title: "a range of a blob",
      path: layer,
      pull: { headers: { Range: "bytes=1-3" } },
      takes: { "cache.match": 1, "r2.get": 1 },
    },
    { title: "HEAD of a blob", path: layer, pull: { method: "HEAD" }, takes: { "r2.head": 1 } },
  ];
  test.for(rows)(
    "of $title takes $takes before its answer",
    async ({ path, pull, after = [], takes }) => {
      const { location = "" } = elsewhere();
      const controls: Controls = { location, isolate: location };
      for (const earlier of after) {
        const response = await world.pull(earlier, { controls });
        expect(response.status).toBe(200);
        await response.body?.cancel();
      }
      const response = await world.pull(path(), { ...pull, controls });
      expect([200, 206]).toContain(response.status);
      await response.body?.cancel();
      const { before, all } = subrequestsOf(response);
      expect(before).toStrictEqual(takes);
      expect(writes(before)).toStrictEqual([]);
      expect(Object.keys(all).filter((each) => each.endsWith("list"))).toStrictEqual([]);
    },
  );
});

describe("a pull at a pin of which only the package index is here", () => {
  const indexed = pinOf("d".repeat(40));
  let world: World;
  beforeAll(async () => {
    world = await startWorld({ pointerMemorySeconds: 5 });
    const stock = await stockOf(NAMES);
    await world.backfill(stock, { tag: "before", pin: PIN });
    await sendIndex(world, await indexOf(stock, indexed));
    const tag = { tag: tagOf("latest"), pins: tagPins(stock, indexed, NOW_MS) };
    expect((await world.push("POST", ingestPath.pointers, { tag, image: null })).status).toBe(200);
    await world.origin.stop();
  });
  afterAll(() => world.close());

  const rows: readonly (readonly [
    title: string,
    name: string,
    after: string | null,
    takes: Operations,
  ])[] = [
    // The pointer; the pins of the tag; lookups and the index' root; shards; records.
    [
      "nobody's, by an isolate that has just started",
      "git/htop",
      null,
      { "kv.getWithMetadata": 1 + 3, "kv.get": 1 },
    ],
    // No lookups; the shard has all names of this set.
    ["one by an isolate that knows the index", "git/vim", "htop", { "kv.getWithMetadata": 1 + 1 }],
    // Also the pointer in R2, as for all that nobody composes, and the names that are near.
    [
      "a name that is absent",
      "gti",
      null,
      { "kv.getWithMetadata": 1 + 2, "kv.get": 1 + 1, "r2.get": 1 },
    ],
    [
      "one by an isolate that knows the index and its names",
      "hotp",
      "gti",
      { "kv.getWithMetadata": 1, "r2.get": 1 },
    ],
  ];
  test.for(rows)("of %s takes no more than it must", async ([, name, after, takes]) => {
    const { location = "" } = elsewhere();
    const controls: Controls = { location, isolate: location };
    if (after !== null) await world.pull(manifestPath(after, "latest"), { controls });
    const response = await world.pull(manifestPath(name, "latest"), { controls });
    expect(response.status).toBe(name.includes("/") ? 200 : 404);
    const { before } = subrequestsOf(response);
    expect(before).toStrictEqual(takes);
    expect(writes(before)).toStrictEqual([]);
  });
});

describe("a pull of the most packages by a package index, for two platforms", () => {
  const names = Array.from({ length: 55 }, (_, index) => index.toString(36));
  const repository = names.join("/");
  const headers = { Accept: `${OCI_MANIFEST}, ${OCI_INDEX}` };
  let world: World;
  let shards = 0;
  beforeAll(async () => {
    world = await startWorld({ platforms: ["amd64", "arm64"] });
    const stock = await stockOf(names);
    await world.backfill(stock, { tag: "before", pin: PIN });
    const indexed = pinOf("e".repeat(40));
    // Of so many more that each name has a shard of its own, nearly.
    const { entries: more } = madeUpSet(6000);
    for (const architecture of ["amd64", "arm64"] as const) {
      const index = await indexOf(stock, indexed, { architecture, more });
      shards = index.root.shards.length;
      await sendIndex(world, index);
    }
    const tag = { tag: tagOf("latest"), pins: tagPins(stock, indexed, NOW_MS) };
    expect((await world.push("POST", ingestPath.pointers, { tag, image: null })).status).toBe(200);
    await world.origin.stop();
  }, 60_000);
  afterAll(() => world.close());

  test.for([
    ["is composed", repository, 200],
    ["is told that one of them is absent", `${repository}/nothere`, 404],
  ] as const)("%s within the subrequests of a free plan", async ([, name, status]) => {
    expect(shards).toBeGreaterThan(60);
    const path = manifestPath(name, "latest");
    const response = await world.pull(path, { headers, controls: elsewhere() });
    expect(response.status).toBe(status);
    const { before, all } = subrequestsOf(response);
    expect(writes(before)).toStrictEqual([]);
    expect(total(all)).toBeLessThanOrEqual(SUBREQUESTS / 2);
  });
});

describe("a pull of the most packages that a name may have, for two platforms", () => {
  const names = Array.from({ length: 55 }, (_, index) => index.toString(36));
  const repository = ["fhs", ...names].join("/");
  const headers = { Accept: `${OCI_MANIFEST}, ${OCI_INDEX}` };
  let world: World;
  let mostCalls = 0;
  beforeAll(async () => {
    world = await startWorld({ platforms: ["amd64", "arm64"] });
    // As many pins as there may be, none but the oldest of which has the packages.
    const stock = await stockOf(["fhs", ...names]);
    await world.pushBlobs(stock);
    const { records } = recordsBody(stock);
    for (const some of cutBodies(records, callsForRecords, MAX_RECORDS_PER_BODY)) {
      await posted(ingestPath.records, { records: some });
    }
    for (const architecture of ["amd64", "arm64"] as const) {
      const { lookups, ...at } = lookupsBody(stock, PIN, architecture);
      for (const some of cutBodies(lookups, callsForLookups, MAX_LOOKUPS_PER_BODY)) {
        await posted(ingestPath.lookups, { ...at, lookups: some });
      }
    }
    for (let age = 15; age >= 0; age -= 1) {
      const pin = age === 3 || age === 15 ? PIN : pinOf(age.toString(16).repeat(40));
      const pins = tagPins(stock, pin, NOW_MS - 1000 * age);
      const tag = tagOf(age > 3 ? `old-${age}` : "latest");
      await posted(ingestPath.pointers, { tag: { tag, pins }, image: null });
    }
    world.origin.answering = () => ({ status: 404 });
  });
  afterAll(() => world.close());

  async function posted(path: string, body: unknown): Promise<void> {
    const response = await world.push("POST", path, body);
    assert(response.ok, `${response.status} ${await response.text()}`);
    mostCalls = Math.max(mostCalls, total(subrequestsOf(response).all));
  }

  test("is taken in within the subrequests of a free plan, as the origin cuts it", () => {
    expect(mostCalls).toBeGreaterThan(SUBREQUESTS / 2);
    expect(mostCalls).toBeLessThanOrEqual(SUBREQUESTS);
  });

  test.for([
    ["is composed", repository, "latest", 200],
    ["is not composed, for one of them is unknown", `${repository}/nothere`, "latest", 503],
    ["is not composed, for its tag is unknown", repository, "nothere", 503],
    ["is composed by its digest", repository, "digest", 200],
    ["is not composed by a digest that it has not", repository, digestOfText("other"), 503],
  ] as const)("%s within the subrequests of a free plan", async ([, name, reference, status]) => {
    let digest: string = reference;
    if (reference === "digest") {
      const tagged = await world.pull(manifestPath(name, "latest"), {
        headers,
        controls: elsewhere(),
      });
      digest = tagged.headers.get("Docker-Content-Digest") ?? "";
    }
    const asked = world.origin.asked.length;
    const response = await world.pull(manifestPath(name, digest), {
      headers,
      controls: elsewhere(),
    });
    expect(response.status).toBe(status);
    if (status === 200) expect(cacheStatus(response)).toBe("nixport; hit; detail=composed");
    const { before, all } = subrequestsOf(response);
    expect(writes(before)).toStrictEqual([]);
    const fetched = world.origin.asked.length - asked;
    expect(total(all) + fetched).toBeLessThanOrEqual(SUBREQUESTS);
  });

  test("keeps it within them too, when it is asked for again", async () => {
    const here = elsewhere();
    for (const nowMs of [NOW_MS, NOW_MS + 60_000]) {
      const response = await world.pull(manifestPath(repository, "latest"), {
        headers,
        controls: { ...here, nowMs },
      });
      expect(response.status).toBe(200);
      const { before, all } = subrequestsOf(response);
      expect(writes(before)).toStrictEqual([]);
      if (nowMs > NOW_MS) expect(new Set(writes(all))).toStrictEqual(new Set(["kv.put", "r2.put"]));
      expect(total(all)).toBeLessThanOrEqual(SUBREQUESTS);
    }
  });
});
