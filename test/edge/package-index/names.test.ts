// What an edge answers by the package index alone, its origin stopped: images at a pin that nobody has pulled
// anything at, and 404 of what the set has not, word for word as the origin says it.

import {
  afterAll,
  assert,
  beforeAll,
  beforeEach,
  describe,
  expect,
  onTestFinished,
  test,
} from "vitest";
import { failedLookups } from "../../../registry/failures/failed-lookups.ts";
import { packagesError } from "../../../registry/failures/failed-packages.ts";
import type { Lookup } from "../../../registry/image/lookup.ts";
import { OCI_INDEX, OCI_MANIFEST } from "../../../registry/image/media-type.ts";
import type { PackageName } from "../../../registry/naming/recipe.ts";
import { startIssuer } from "../../registry/access/issuer.ts";
import { pinOf, recipeOf, tagOf } from "../../registry/fixture.ts";
import { policyOf, ROBOT } from "../access/policy.ts";
import { type Controls, NOW_MS } from "../controls.ts";
import { registryError } from "../fake-origin.ts";
import { emptyStores, storesOf } from "../ingest/from-origin.ts";
import { imageOf, type Stock, stockOf, tagPins } from "../stock.ts";
import {
  cacheStatus,
  elsewhere,
  errorOf,
  manifestPath,
  PIN_FRESH_MS,
  startWorld,
  type World,
} from "../world.ts";
import { indexOf, sendIndex } from "./indexed.ts";

/** At which everything was pulled, and to which the tag has moved since. */
const OLD_PIN = pinOf("a".repeat(40));
const PIN = pinOf("b".repeat(40));
const NAMES = ["git", "htop", "jq"];
const HIT = "nixport; hit; detail=package-index";

/** Of an edge that has layers and records of a stock, and an index at a pin that the tag has moved to. */
async function moved(world: World, stock: Stock, ...made: Parameters<typeof sendIndex>[1][]) {
  await world.backfill(stock, { tag: "latest", pin: OLD_PIN, resolvedAtMs: NOW_MS - 1000 });
  for (const index of made) await sendIndex(world, index);
  const tag = { tag: tagOf("latest"), pins: tagPins(stock, PIN, NOW_MS) };
  const told = await world.push("POST", "/ingest/pointers", { tag, image: null });
  assert(told.ok, await told.text());
}

describe("a name by the package index", () => {
  let world: World;
  let stock: Stock;
  beforeAll(async () => {
    world = await startWorld();
    stock = await stockOf(NAMES);
    await moved(world, stock, await indexOf(stock, PIN, { without: ["jq"] }));
  });
  beforeEach(async () => {
    world.origin.asked.length = 0;
    await world.origin.stop();
  });
  afterAll(() => world.close());

  const pull = (name: string, controls: Controls = {}, method = "GET") =>
    world.pull(manifestPath(name, "latest"), { method, controls: { ...elsewhere(), ...controls } });

  test("is composed at a new pin where its packages are the same", async () => {
    const { manifest, config } = await imageOf(stock, "git/htop");
    const response = await pull("htop/git");
    expect(cacheStatus(response)).toBe("nixport; hit; detail=composed");
    expect(response.headers.get("Docker-Content-Digest")).toBe(manifest.digest);
    expect(response.headers.get("Nixport-Pin")).toBe(PIN);
    expect(response.headers.get("Warning")).toBeNull();
    for (const path of [
      manifestPath("git/htop", manifest.digest),
      `/v2/git/htop/blobs/${config.digest}`,
    ]) {
      expect((await world.pull(path, { controls: elsewhere() })).status).toBe(200);
    }
    const tags = await world.pull("/v2/git/htop/tags/list", { controls: elsewhere() });
    expect(tags.status).toBe(200);
  });

  const MISSING: readonly (readonly [
    name: string,
    absent: readonly (readonly [string, Lookup])[],
  ])[] = [
    ["gti", [["gti", { kind: "missing", near: ["git"] }]]],
    [
      "htop/gti/hotp",
      [
        ["gti", { kind: "missing", near: ["git"] }],
        ["hotp", { kind: "missing", near: ["htop"] }],
      ],
    ],
    [
      "python3packages.nunpy",
      [["python3packages.nunpy", { kind: "missing", near: ["python3packages.numpy"] }]],
    ],
    ["python3packages.numpy", [["python3packages.numpy", { kind: "broken" }]]],
    [
      "python3packages",
      [
        [
          "python3packages",
          { kind: "not-a-package", what: "set", near: ["python3packages.numpy"] },
        ],
      ],
    ],
    ["afunction", [["afunction", { kind: "not-a-package", what: "function", near: [] }]]],
    ["paid/git", [["paid", { kind: "unfree", licenses: ["unfree"] }]]],
  ];
  test.for(MISSING)("is 404 as the origin says it: %s", async ([name, absent]) => {
    const lookups = absent.map(([each, lookup]) => ({ name: each as PackageName, lookup }));
    const expected = packagesError(failedLookups(recipeOf(name), lookups));
    const response = await pull(name);
    expect(response.status).toBe(404);
    expect(cacheStatus(response)).toBe(HIT);
    expect(response.headers.get("Nixport-Pin")).toBe(PIN);
    expect(await errorOf(response)).toStrictEqual({
      code: expected.code,
      message: expected.message,
      detail: expected.options.detail,
    });
    expect((await pull(name, {}, "HEAD")).status).toBe(404);
  });

  test.for([
    ["an image", "site"],
    ["what is below a package", "git.out"],
    ["what is in a set that is not listed", "lib.thing"],
    ["what did not evaluate", "throws"],
    ["what was not found out", "unasked"],
    ["one that is missing, beside such a one", "gti/unasked"],
  ])("is not told of %s", async ([, name]) => {
    const response = await pull(name ?? "");
    expect(response.status).toBe(503);
    expect(cacheStatus(response)).toBe("nixport; fwd=miss");
  });

  test("is not told where the tag has another pin, which has no index", async () => {
    const response = await world.pull(manifestPath("gti", OLD_PIN), { controls: elsewhere() });
    expect(response.status).toBe(503);
  });

  test("has no tags where it is 404", async () => {
    const response = await world.pull("/v2/gti/tags/list", { controls: elsewhere() });
    expect(response.status).toBe(404);
    expect(await errorOf(response)).toMatchObject({
      code: "NAME_UNKNOWN",
      message: "no package gti (did you mean git?)",
    });
  });

  test("is asked of the origin where the tag may have moved on, and told of it where that is gone", async () => {
    const nowMs = NOW_MS + PIN_FRESH_MS + 1;
    const gone = await pull("gti", { nowMs });
    expect(gone.status).toBe(404);
    expect(gone.headers.get("Warning") ?? "").toMatch(/^299 - "nixport: latest was last resolved/);
    await world.origin.start();
    world.origin.answering = () => registryError(404, "MANIFEST_UNKNOWN", "the origin's own word");
    const response = await pull("gti", { nowMs });
    expect(cacheStatus(response)).toBe("nixport; fwd=miss");
    expect((await errorOf(response)).message).toBe("the origin's own word");
    expect((await errorOf(await pull("gti"))).message).toBe("no package gti (did you mean git?)");
  });

  test("is told without near names beyond the limit of what is not here", async () => {
    const response = await pull("gti", { limiter: "refuses" });
    expect(response.status).toBe(404);
    expect((await errorOf(response)).message).toBe("no package gti");
  });
});

describe("a name for two platforms", () => {
  const headers = { Accept: `${OCI_MANIFEST}, ${OCI_INDEX}` };
  let world: World;
  beforeAll(async () => {
    world = await startWorld({ platforms: ["amd64", "arm64"] });
    const stock = await stockOf(NAMES);
    const arm = { architecture: "arm64", without: ["jq"] } as const;
    await moved(world, stock, await indexOf(stock, PIN), await indexOf(stock, PIN, arm));
    await world.origin.stop();
  });
  afterAll(() => world.close());

  test.for([
    ["gti", "no package gti (did you mean git?)"],
    ["paid", expect.stringMatching(/^paid has an unfree licence/)],
    ["arm64/jq", "no package jq"],
  ] as const)("is told once where it is the same for both: %s", async ([name, message]) => {
    const response = await world.pull(manifestPath(name, "latest"), {
      headers,
      controls: elsewhere(),
    });
    expect(response.status).toBe(404);
    expect((await errorOf(response)).message).toStrictEqual(message);
  });

  test("is the origin's where one of them has it", async () => {
    const response = await world.pull(manifestPath("jq", "latest"), {
      headers,
      controls: elsewhere(),
    });
    expect(response.status).toBe(503);
  });
});

test("names are absent only where all of the set is in the index", async () => {
  const world = await startWorld();
  onTestFinished(() => world.close());
  const stock = await stockOf(NAMES);
  await moved(world, stock, await indexOf(stock, PIN, { isComplete: false }));
  await world.origin.stop();
  const pulled = await world.pull(manifestPath("git/jq", "latest"), { controls: elsewhere() });
  expect(cacheStatus(pulled)).toBe("nixport; hit; detail=composed");
  const missing = await world.pull(manifestPath("gti", "latest"), { controls: elsewhere() });
  expect(missing.status).toBe(503);
});

test("a policy is told by the index what names mean", async () => {
  const issuer = await startIssuer(NOW_MS);
  onTestFinished(() => issuer.stop());
  const world = await startWorld({ policy: await policyOf(issuer.url) });
  onTestFinished(() => world.close());
  const stock = await stockOf(["git", "htop", "tree"]);
  await moved(world, stock, await indexOf(stock, PIN));
  await world.origin.stop();
  const pull = (name: string) =>
    world.pull(manifestPath(name, "latest"), { headers: ROBOT, controls: elsewhere() });
  expect((await pull("git")).status).toBe(200);
  // It may pull git alone, whether there is anything else or not.
  expect((await pull("tree")).status).toBe(403);
  expect((await pull("gti")).status).toBe(403);
});

describe("an index that is not as it was stored", () => {
  let world: World;
  let stock: Stock;
  beforeAll(async () => {
    world = await startWorld();
    stock = await stockOf(NAMES);
  });
  afterAll(() => world.close());
  beforeEach(async () => {
    await emptyStores(world);
    await moved(world, stock, await indexOf(stock, PIN));
    // Nothing older answers for it.
    const [kv] = await storesOf(world);
    for (const { name } of (await kv.list({ prefix: "l/" })).keys) await kv.delete(name);
    await world.origin.stop();
  });

  const damages: readonly (readonly [what: string, change: (text: string) => string | null])[] = [
    ["is gone", () => null],
    ["is no JSON any more", (text) => `x${text}`],
    ["is cut", (text) => text.slice(0, text.length / 2)],
    ["is of another format", (text) => text.replace('"format":1', '"format":2')],
    ["has another digit in a hash", (text) => text.replace(/[0-9a-f]{32}/, flipFirst)],
    ["is something else", () => '{"of":"another version"}'],
  ];
  const rows = ["i/", "x/"].flatMap((prefix) =>
    damages.map(([what, change]) => [prefix, what, change] as const),
  );
  test.for(rows)("%s that %s says nothing of any name", async ([prefix, , change]) => {
    const [kv] = await storesOf(world);
    for (const { name, metadata } of (await kv.list({ prefix })).keys) {
      const text = await kv.get(name, "text");
      const damaged = change(text ?? "");
      if (damaged === null) await kv.delete(name);
      else await kv.put(name, damaged, metadata === undefined ? {} : { metadata });
    }
    for (const name of ["git", "gti"]) {
      const response = await world.pull(manifestPath(name, "latest"), { controls: elsewhere() });
      expect([name, response.status]).toStrictEqual([name, 503]);
    }
  });

  test("still tells what is absent where only its names are damaged, without what is near", async () => {
    const made = await indexOf(stock, PIN);
    const [kv] = await storesOf(world);
    await kv.put(`x/${made.root.names.digest.slice("sha256:".length)}`, "no gzip");
    const response = await world.pull(manifestPath("gti", "latest"), { controls: elsewhere() });
    expect(response.status).toBe(404);
    expect((await errorOf(response)).message).toBe("no package gti");
  });

  test("says nothing where KV fails", async () => {
    const controls = { ...elsewhere(), fail: ["kv"] } as const;
    const response = await world.pull(manifestPath("gti", "latest"), { controls });
    expect(response.status).toBe(503);
  });
});

function flipFirst(hash: string): string {
  return `${hash.startsWith("0") ? "1" : "0"}${hash.slice(1)}`;
}
