// Images composed at the edge from known records, with the digest that the origin would give.

import { afterAll, assert, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { configuredPin } from "../../../registry/naming/pin.ts";
import { pinOf } from "../../registry/fixture.ts";
import { NOW_MS } from "../controls.ts";
import { imageOf, PACKINGS, type Stock, stockOf } from "../stock.ts";
import {
  blobPath,
  cacheStatus,
  errorOf,
  manifestPath,
  operationsOf,
  startWorld,
  type World,
} from "../world.ts";

const NAMES = ["git", "htop", "jq", "nix"];
const PIN = pinOf("a".repeat(40));
const OLDER_PIN = pinOf("b".repeat(40));

describe("GET /v2/<name>/manifests/<tag> without a pointer", () => {
  let world: World;
  let stock: Stock;
  beforeAll(async () => {
    world = await startWorld();
    stock = await stockOf(["fhs", ...NAMES]);
    const git = stock.lookups.get("git");
    assert(git !== undefined);
    const lookups = new Map([...stock.lookups, ["0git", git]]);
    await world.backfill({ ...stock, lookups }, { tag: "latest", pin: PIN });
    await world.origin.stop();
  });
  afterAll(() => world.close());

  test.each([
    ["0git", "git"],
    ["htop/0git", "git/htop"],
    ["0git/git/jq", "git/jq"],
    ["fhs/git", "fhs/git"],
    ["nonroot/fhs/jq/0git", "fhs/nonroot/git/jq"],
    ["fhs/nix/jq/0git/htop", "fhs/git/htop/jq/nix"],
  ])("gives %s the digest of %s, to whose packages its names lead", async (name, canonical) => {
    const response = await world.pull(manifestPath(name, "latest"));
    expect(cacheStatus(response)).toBe("nixport; hit; detail=composed");
    const { manifest } = await imageOf(stock, canonical);
    expect(response.headers.get("Docker-Content-Digest")).toBe(manifest.digest);
  });

  test("composes a combination nobody pulled, with the digest Node composes, origin stopped", async () => {
    const expected = await imageOf(stock, "git/htop");
    const response = await world.pull(manifestPath("htop/git", "latest"));
    expect(response.status).toBe(200);
    expect(cacheStatus(response)).toBe("nixport; hit; detail=composed");
    expect(response.headers.get("Docker-Content-Digest")).toBe(expected.manifest.digest);
    expect(response.headers.get("Content-Type")).toBe(expected.manifest.mediaType);
    expect(response.headers.get("Nixport-Pin")).toBe(PIN);
    expect(response.headers.get("Nixport-Packing")).toBe(PACKINGS.zstd);
    expect(response.headers.get("Warning")).toBeNull();
    expect(await response.bytes()).toStrictEqual(Uint8Array.from(expected.manifest.bytes));
  });

  test("takes one read for the pins, one for the lookups, one for the records", async () => {
    const controls = { coldMemory: true };
    const response = await world.pull(manifestPath("git/htop/jq", "latest"), { controls });
    expect(operationsOf(response)).toStrictEqual({
      "kv.get": 1,
      // And the pointer is looked for; nothing is written.
      "kv.getWithMetadata": 2 + 1,
    });
  });

  test("composes at a commit nobody pulled by, with the packing known last", async () => {
    const response = await world.pull(manifestPath("htop", PIN));
    expect(cacheStatus(response)).toBe("nixport; hit; detail=composed");
    expect(response.headers.get("Nixport-Pin")).toBe(PIN);
    expect(response.headers.get("Nixport-Packing")).toBe(PACKINGS.zstd);
    expect(response.headers.get("Warning")).toBeNull();
  });

  test("falls back to an older pin of the tag, and says so", async () => {
    await world.backfill(stock, { tag: "moved", pin: OLDER_PIN, resolvedAtMs: NOW_MS - 1000 });
    const newer = await stockOf(["tree"], "-newer");
    await world.backfill(newer, { tag: "moved", pin: pinOf("c".repeat(40)) });
    const response = await world.pull(manifestPath("htop", "moved"));
    expect(cacheStatus(response)).toBe("nixport; hit; detail=composed");
    expect(response.headers.get("Nixport-Pin")).toBe(OLDER_PIN);
    expect(response.headers.get("Warning") ?? "").toMatch(/^299 - "nixport: moved has moved on/);
  });

  test.for([
    ["a package without a lookup", "git/nothere", "latest"],
    ["a tag whose pins are unknown", "git", "unknown"],
    ["a commit without lookups", "git", "d".repeat(40)],
    ["a combination with Nix, whose database nobody has made", "git/nix", "latest"],
  ] as const)("answers 503 for %s while the origin is stopped", async ([, repository, tag]) => {
    const response = await world.pull(manifestPath(repository, tag));
    expect(response.status).toBe(503);
    expect(cacheStatus(response)).toBe("nixport; fwd=miss");
    expect(Number(response.headers.get("Retry-After"))).toBeGreaterThan(0);
    expect((await errorOf(response)).code).toBe("UNAVAILABLE");
  });

  test("serves the layers of what it composed", async () => {
    for (const [digest, bytes] of stock.blobs) {
      const response = await world.pull(blobPath(digest));
      expect(await response.bytes()).toStrictEqual(Uint8Array.from(bytes));
    }
  });

  test("does not compose what another version of the composer was meant for", async () => {
    const body = {
      tag: {
        tag: "other",
        pins: {
          pins: [{ pin: PIN, resolvedAtMs: NOW_MS }],
          packings: stock.packings,
          composeVersion: 999,
        },
      },
      image: null,
    };
    expect((await world.push("POST", "/ingest/pointers", body)).status).toBe(200);
    const response = await world.pull(manifestPath("git/htop/tree", "other"));
    expect(response.status).toBe(503);
  });
});

test("composes at a commit under the configuration that the origin has now", async () => {
  const world = await startWorld();
  onTestFinished(() => world.close());
  const configured = configuredPin(PIN, "0123456789abcdef");
  await world.backfill(await stockOf(["git"], "-unconfigured"), { tag: "old", pin: PIN });
  await world.backfill(await stockOf(["git"]), { tag: "latest", pin: configured });
  await world.origin.stop();
  const response = await world.pull(manifestPath("git", PIN));
  expect(cacheStatus(response)).toBe("nixport; hit; detail=composed");
  expect(response.headers.get("Nixport-Pin")).toBe(configured);
});
