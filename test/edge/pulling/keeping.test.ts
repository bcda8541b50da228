// What is kept of images that the edge composed: nothing of what was pulled once, and what another pull
// asks for; and how the requests of a pull are answered meanwhile, whichever isolate they meet.

import { afterAll, assert, beforeAll, describe, expect, test } from "vitest";
import type { ComposedImage } from "../../../registry/image/compose.ts";
import { OCI_MANIFEST } from "../../../registry/image/media-type.ts";
import { digestHex } from "../../../registry/naming/digest.ts";
import { pinOf } from "../../registry/fixture.ts";
import { type Controls, NOW_MS } from "../controls.ts";
import { imageOf, type Stock, stockOf } from "../stock.ts";
import {
  cacheStatus,
  elsewhere,
  manifestPath,
  operationsOf,
  startWorld,
  subrequestsOf,
  type World,
} from "../world.ts";

const NAMES = ["curl", "git", "htop", "jq", "tree", "vim"];
const PIN = pinOf("a".repeat(40));
const LATER_MS = NOW_MS + 60_000;
const DAY_MS = 86_400_000;

const configPath = (name: string, { config }: ComposedImage) =>
  `/v2/${name}/blobs/${config.digest}`;
const byDigest = (name: string, { manifest }: ComposedImage) => manifestPath(name, manifest.digest);

async function objectsOf({ edge: { miniflare } }: World): Promise<readonly string[]> {
  const [kv, r2] = [await miniflare.getKVNamespace("KV"), await miniflare.getR2Bucket("R2")];
  const { keys, list_complete } = await kv.list();
  const { objects, truncated } = await r2.list();
  assert(list_complete && !truncated);
  return [...keys.map(({ name }) => `kv ${name}`), ...objects.map(({ key }) => `r2 ${key}`)];
}

describe("an image that the edge composes", () => {
  let world: World;
  let stock: Stock;
  beforeAll(async () => {
    world = await startWorld();
    stock = await stockOf(NAMES);
    await world.backfill(stock, { tag: "latest", pin: PIN });
    await world.origin.stop();
  });
  afterAll(() => world.close());

  const clients: readonly (readonly [title: string, by: readonly ("HEAD" | "GET" | "digest")[]])[] =
    [
      ["HEAD of the tag, then by digest", ["HEAD", "digest"]],
      ["the tag alone", ["GET"]],
      ["HEAD and GET of the tag", ["HEAD", "GET"]],
      ["the digest alone", ["digest"]],
    ];
  const places: readonly (readonly [title: string, controls: () => Controls])[] = [
    ["one isolate", () => ({})],
    ["isolates of one location", () => ({ coldMemory: true })],
    ["isolates that share nothing", elsewhere],
  ];
  const combinations = NAMES.flatMap((one, place) =>
    NAMES.slice(place + 1, place + 2).map((other) => `${one}/${other}`),
  );

  const rows = clients.flatMap(([client, requests]) =>
    places.map(([place, controls]) => [client, place, requests, controls] as const),
  );
  test.for(rows)(
    "leaves nothing when it is pulled once, by %s, through %s",
    async ([, , requests, controls]) => {
      const before = await objectsOf(world);
      for (const name of combinations) {
        const image = await imageOf(stock, name);
        for (const by of requests) {
          const path = by === "digest" ? byDigest(name, image) : manifestPath(name, "latest");
          const method = by === "HEAD" ? by : "GET";
          const response = await world.pull(path, { method, controls: controls() });
          expect(response.status).toBe(200);
          expect(response.headers.get("Docker-Content-Digest")).toBe(image.manifest.digest);
          await response.body?.cancel();
        }
        const config = await world.pull(configPath(name, image), { controls: controls() });
        expect(await config.bytes()).toStrictEqual(Uint8Array.from(image.config.bytes));
      }
      expect(await objectsOf(world)).toStrictEqual(before);
    },
  );

  const requests: readonly (readonly [
    title: string,
    path: (name: string, image: ComposedImage) => string,
  ])[] = [
    ["a manifest", byDigest],
    ["a config", configPath],
  ];
  test.for(requests)(
    "is remembered by its isolate, and composed again by the others of its location: %s",
    async ([title, path]) => {
      const name = `curl/git/${title === "a config" ? "jq" : "vim"}`;
      const image = await imageOf(stock, name);
      const { location = "" } = elsewhere();
      const here = { location, isolate: location };
      await world.pull(manifestPath(name, "latest"), { controls: here });
      const own = await world.pull(path(name, image), { controls: here });
      expect(cacheStatus(own)).toBe("nixport; hit; detail=memory");
      const other = await world.pull(path(name, image), {
        controls: { location, coldMemory: true },
      });
      expect(cacheStatus(other)).toBe("nixport; hit; detail=composed");
      expect(await other.bytes()).toStrictEqual(await own.bytes());
    },
  );

  test("has its config in the isolate's memory, whole, as a range and for HEAD", async () => {
    const image = await imageOf(stock, "git/jq/tree");
    await world.pull(manifestPath("git/jq/tree", "latest"));
    const path = configPath("git/jq/tree", image);
    const whole = await world.pull(path);
    expect(cacheStatus(whole)).toBe("nixport; hit; detail=memory");
    expect(operationsOf(whole)).toStrictEqual({});
    const range = await world.pull(path, { headers: { Range: "bytes=1-3" } });
    expect(range.status).toBe(206);
    expect(await range.bytes()).toStrictEqual(Uint8Array.from(image.config.bytes.slice(1, 4)));
    const head = await world.pull(path, { method: "HEAD" });
    expect(head.headers.get("Content-Length")).toBe(String(image.config.bytes.length));
    const known = await world.pull(path, { headers: { "If-None-Match": "*" } });
    expect(known.status).toBe(304);
  });

  test("answers a range and HEAD of a config that is composed again", async () => {
    const image = await imageOf(stock, "git/htop/tree");
    const path = configPath("git/htop/tree", image);
    const headers = { Range: "bytes=-2" };
    const range = await world.pull(path, { headers, controls: elsewhere() });
    expect(range.status).toBe(206);
    expect(await range.bytes()).toStrictEqual(Uint8Array.from(image.config.bytes.slice(-2)));
    const head = await world.pull(path, { method: "HEAD", controls: elsewhere() });
    expect(head.headers.get("Content-Length")).toBe(String(image.config.bytes.length));
  });

  test("is found by its digest in a form that this client is not given by tag", async () => {
    const image = await imageOf(stock, "curl/jq");
    const headers = { "User-Agent": "docker/20.10.24", Accept: OCI_MANIFEST };
    const controls = elsewhere();
    const response = await world.pull(byDigest("curl/jq", image), { headers, controls });
    expect(response.status).toBe(200);
    expect(response.headers.get("Docker-Content-Digest")).toBe(image.manifest.digest);
  });

  const again: readonly (readonly [
    title: string,
    first: number,
    second: number,
    isKept: boolean,
  ])[] = [
    ["in the same minute", NOW_MS, LATER_MS - 1, false],
    ["a minute later", NOW_MS, LATER_MS, true],
    ["within the day", NOW_MS, NOW_MS + DAY_MS - 1, true],
    ["a day later", NOW_MS, NOW_MS + DAY_MS, false],
    ["by a clock that was set back", LATER_MS, NOW_MS, false],
  ];
  test.for(again.map((row, index) => [...row, index] as const))(
    "is kept or not when it is asked for again %s",
    async ([, first, second, isKept, index]) => {
      for (const place of ["one isolate", "one location"]) {
        const name = `${NAMES[index]}/${place === "one isolate" ? "a1" : "b2"}`;
        const extended = await stockOf([...NAMES, "a1", "b2"]);
        await world.backfill(extended, { tag: "latest", pin: PIN });
        const image = await imageOf(extended, name);
        const coldMemory = place === "one location";
        const path = manifestPath(name, "latest");
        await world.pull(path, { controls: { coldMemory, nowMs: first } });
        await world.pull(path, { controls: { coldMemory, nowMs: second } });
        const objects = await objectsOf(world);
        const hex = digestHex(image.manifest.digest);
        const configHex = digestHex(image.config.digest);
        for (const key of [
          `kv m/${hex}`,
          `r2 manifests/${hex}`,
          `r2 blobs/${configHex.slice(0, 2)}/${configHex}`,
        ]) {
          expect(objects.includes(key), `${key} ${place}`).toBe(isKept);
        }
        const third = await world.pull(path, { controls: { ...elsewhere(), nowMs: second } });
        const detail = isKept ? "kv" : "composed";
        expect(cacheStatus(third)).toBe(`nixport; hit; detail=${detail}`);
      }
    },
  );

  test("is known to the other isolates of its location once its own has written its marks, at most once a second", async () => {
    const names = ["git/tree", "git/vim", "tree/vim"];
    const { location = "" } = elsewhere();
    const pulled = async (name: string, nowMs: number, own: Controls) => {
      const controls = { location, nowMs, ...own };
      return subrequestsOf(await world.pull(manifestPath(name, "latest"), { controls })).all;
    };
    const written: (number | undefined)[] = [];
    for (const [index, name] of names.entries()) {
      // Two of them in one second.
      const nowMs = NOW_MS + (index === 2 ? 1000 : index);
      written.push((await pulled(name, nowMs, { isolate: location }))["cache.put"]);
    }
    expect(written).toStrictEqual([1, undefined, 1]);
    for (const name of names) {
      const operations = await pulled(name, LATER_MS + 1000, { coldMemory: true });
      expect(operations["r2.put"] ?? 0, name).toBeGreaterThan(0);
    }
  });

  test.for(["cut", "wrong"] as const)(
    "counts as never asked for where what the location has marked comes back %s",
    async (copies) => {
      const name = `curl/htop/${copies === "cut" ? "git" : "jq"}`;
      const before = await objectsOf(world);
      const { location = "" } = elsewhere();
      for (const [nowMs, damage] of [
        [NOW_MS, {}],
        [LATER_MS, { copies }],
      ] as const) {
        const controls = { location, coldMemory: true, nowMs, ...damage };
        const response = await world.pull(manifestPath(name, "latest"), { controls });
        expect(cacheStatus(response)).toBe("nixport; hit; detail=composed");
      }
      expect(await objectsOf(world)).toStrictEqual(before);
    },
  );

  test("is kept without a pointer when its digest is asked for again", async () => {
    const name = "htop/jq/vim";
    const image = await imageOf(stock, name);
    const before = await objectsOf(world);
    const { location = "" } = elsewhere();
    for (const nowMs of [NOW_MS, LATER_MS]) {
      const controls = { coldMemory: true, location, nowMs };
      await world.pull(byDigest(name, image), { controls });
    }
    const added = (await objectsOf(world)).filter((key) => !before.includes(key));
    const [hex, configHex] = [digestHex(image.manifest.digest), digestHex(image.config.digest)];
    expect(added.sort()).toStrictEqual([
      `kv m/${hex}`,
      `r2 blobs/${configHex.slice(0, 2)}/${configHex}`,
      `r2 manifests/${hex}`,
    ]);
    const far = await world.pull(byDigest(name, image), { controls: elsewhere() });
    expect(cacheStatus(far)).toBe("nixport; hit; detail=kv");
  });

  test.for(["refuses", "fails"] as const)(
    "is not kept where the limit of its client %s, and is answered all the same",
    async (keeping) => {
      const name = `curl/htop/${keeping === "fails" ? "tree" : "vim"}`;
      const before = await objectsOf(world);
      for (const nowMs of [NOW_MS, LATER_MS]) {
        const controls = { coldMemory: true, keeping, nowMs };
        const response = await world.pull(manifestPath(name, "latest"), { controls });
        expect(cacheStatus(response)).toBe("nixport; hit; detail=composed");
      }
      expect(await objectsOf(world)).toStrictEqual(before);
    },
  );

  test("is kept for each client up to a limit of its own", async () => {
    const names = ["curl/git/tree", "curl/git/htop", "curl/jq/tree"];
    const kept: boolean[] = [];
    for (const name of names) {
      for (const nowMs of [NOW_MS, LATER_MS]) {
        const headers = { "CF-Connecting-IP": name === names[2] ? "192.0.2.2" : "192.0.2.1" };
        const controls = { coldMemory: true, keeping: 1, nowMs };
        await world.pull(manifestPath(name, "latest"), { headers, controls });
      }
      const { digest } = (await imageOf(stock, name)).manifest;
      kept.push((await objectsOf(world)).includes(`kv m/${digestHex(digest)}`));
    }
    expect(kept).toStrictEqual([true, false, true]);
  });
});
