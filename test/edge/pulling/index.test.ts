// Indexes at an edge for two platforms: composed, ingested, asked of the origin, and what a client
// gets that takes none.

import { afterAll, assert, beforeAll, describe, expect, test } from "vitest";
import { ingestPath } from "../../../registry/http/route.ts";
import { composeIndex, omit } from "../../../registry/image/image-index.ts";
import { OCI_INDEX, OCI_MANIFEST } from "../../../registry/image/media-type.ts";
import { digestOf } from "../../../registry/naming/digest.ts";
import { pinOf, recipeOf } from "../../registry/fixture.ts";
import { NOW_MS } from "../controls.ts";
import {
  imageOf,
  imagePointer,
  lookupsBody,
  PACKINGS,
  recordsBody,
  type Stock,
  stockOf,
  tagPins,
} from "../stock.ts";
import {
  cacheStatus,
  errorOf,
  manifestPath,
  PIN_FRESH_MS,
  startWorld,
  type World,
} from "../world.ts";

const PIN = pinOf("a".repeat(40));
const TAKES_INDEX = { Accept: `${OCI_MANIFEST}, ${OCI_INDEX}` };
const TAKES_NONE = { Accept: OCI_MANIFEST };

interface Stocks {
  readonly amd64: Stock;
  readonly arm64: Stock;
}

/** arm64 packages are other store paths with other bytes. */
async function stocksOf(...names: readonly string[]): Promise<Stocks> {
  return { amd64: await stockOf(names), arm64: await stockOf(names, "-arm64") };
}

async function childrenOf({ amd64, arm64 }: Stocks, name: string) {
  return [
    { recipe: recipeOf(`amd64/${name}`), ...(await imageOf(amd64, `amd64/${name}`)) },
    { recipe: recipeOf(`arm64/${name}`), ...(await imageOf(arm64, `arm64/${name}`)) },
  ] as const;
}

async function indexOf(stocks: Stocks, name: string) {
  return composeIndex(await childrenOf(stocks, name), [], "oci-zstd");
}

async function ok(answer: Promise<Response>): Promise<void> {
  const response = await answer;
  const text = await response.text();
  assert(response.ok, `${response.status} ${text}`);
}

async function pushPackages(world: World, { amd64, arm64 }: Stocks): Promise<void> {
  await world.backfill(amd64, { tag: "latest", pin: PIN });
  await world.pushBlobs(arm64);
  await ok(world.push("POST", ingestPath.records, recordsBody(arm64)));
  await ok(world.push("POST", ingestPath.lookups, lookupsBody(arm64, PIN, "arm64")));
}

describe("an edge for two platforms, its packages known for both and its origin stopped", () => {
  let world: World;
  let stocks: Stocks;
  beforeAll(async () => {
    world = await startWorld({ platforms: ["amd64", "arm64"] });
    stocks = await stocksOf("fhs", "git", "htop");
    await pushPackages(world, stocks);
    await world.origin.stop();
  });
  afterAll(() => world.close());

  test("composes that of images with front words, by a pointer of its own", async () => {
    const index = await indexOf(stocks, "fhs/nonroot/git");
    const path = manifestPath("nonroot/fhs/git", "latest");
    const composed = await world.pull(path, { headers: TAKES_INDEX });
    expect(cacheStatus(composed)).toBe("nixport; hit; detail=composed");
    expect(composed.headers.get("Docker-Content-Digest")).toBe(index.digest);
    const plain = await world.pull(manifestPath("git", "latest"), { headers: TAKES_INDEX });
    expect(cacheStatus(plain)).toBe("nixport; hit; detail=composed");
    expect(plain.headers.get("Docker-Content-Digest")).toBe((await indexOf(stocks, "git")).digest);
  });

  test("composes the index that Node composes, and has its images and their configs", async () => {
    const index = await indexOf(stocks, "git/htop");
    const path = manifestPath("htop/git", "latest");
    const composed = await world.pull(path, { headers: TAKES_INDEX });
    expect(cacheStatus(composed)).toBe("nixport; hit; detail=composed");
    expect(composed.headers.get("Content-Type")).toBe(OCI_INDEX);
    expect(composed.headers.get("Docker-Content-Digest")).toBe(index.digest);
    expect(composed.headers.get("Nixport-Pin")).toBe(PIN);
    expect(await composed.bytes()).toStrictEqual(Uint8Array.from(index.bytes));

    const children = await childrenOf(stocks, "git/htop");
    for (const controls of [{ coldMemory: true }, { coldMemory: true, location: "far" }]) {
      for (const { manifest } of [...children, { manifest: index }]) {
        const byDigest = manifestPath("git/htop", manifest.digest);
        const response = await world.pull(byDigest, { controls });
        expect(response.headers.get("Content-Type")).toBe(manifest.mediaType);
        expect(await response.bytes()).toStrictEqual(Uint8Array.from(manifest.bytes));
      }
      for (const { config } of children) {
        const response = await world.pull(`/v2/git/htop/blobs/${config.digest}`, { controls });
        expect(await response.bytes()).toStrictEqual(Uint8Array.from(config.bytes));
      }
    }
  });

  test("keeps an index that is asked for again, with its images and a pointer", async () => {
    const path = manifestPath("htop", "latest");
    // Each in an isolate of its own, which tells the location at once.
    await world.pull(path, { headers: TAKES_INDEX, controls: { coldMemory: true } });
    const later = { coldMemory: true, nowMs: NOW_MS + 61_000 };
    await world.pull(path, { headers: TAKES_INDEX, controls: later });
    const again = await world.pull(path, { headers: TAKES_INDEX, controls: later });
    expect(cacheStatus(again)).toBe("nixport; hit; detail=kv");
    const index = await indexOf(stocks, "htop");
    expect(await again.bytes()).toStrictEqual(Uint8Array.from(index.bytes));
    const far = { coldMemory: true, location: "farther" };
    for (const { manifest } of [...(await childrenOf(stocks, "htop")), { manifest: index }]) {
      const byDigest = await world.pull(manifestPath("htop", manifest.digest), { controls: far });
      expect(cacheStatus(byDigest)).toBe("nixport; hit; detail=kv");
    }
  });

  test("answers HEAD and If-None-Match of an index as of a manifest", async () => {
    const index = await indexOf(stocks, "git");
    const path = manifestPath("git", "latest");
    const head = await world.pull(path, { method: "HEAD", headers: TAKES_INDEX });
    expect(head.headers.get("Docker-Content-Digest")).toBe(index.digest);
    expect(head.headers.get("Content-Length")).toBe(String(index.bytes.length));
    expect(head.headers.get("Vary") ?? "").toMatch(/^Accept, User-Agent, /);
    const headers = { ...TAKES_INDEX, "If-None-Match": `"${index.digest}"` };
    expect((await world.pull(path, { headers })).status).toBe(304);
  });

  const singles: readonly [name: string, headers: Record<string, string>, child: 0 | 1][] = [
    ["git", TAKES_NONE, 0],
    ["amd64/git", TAKES_INDEX, 0],
    ["arm64/git", TAKES_INDEX, 1],
  ];
  for (const [name, headers, child] of singles) {
    test(`gives ${name} with ${headers.Accept} one manifest`, async () => {
      const { manifest } = (await childrenOf(stocks, "git"))[child];
      const response = await world.pull(manifestPath(name, "latest"), { headers });
      expect(response.headers.get("Content-Type")).toBe(OCI_MANIFEST);
      expect(response.headers.get("Docker-Content-Digest")).toBe(manifest.digest);
    });
  }

  test("gives an index by its digest to whoever asks, for those are its bytes", async () => {
    const index = await indexOf(stocks, "git");
    await world.pull(manifestPath("git", "latest"), { headers: TAKES_INDEX });
    const path = manifestPath("git", index.digest);
    const response = await world.pull(path, { headers: TAKES_NONE });
    expect(response.headers.get("Content-Type")).toBe(OCI_INDEX);
    expect(await response.bytes()).toStrictEqual(Uint8Array.from(index.bytes));
  });
});

describe("an index that the origin pushes", () => {
  let world: World;
  let stocks: Stocks;
  beforeAll(async () => {
    world = await startWorld({ platforms: ["amd64", "arm64"] });
    stocks = await stocksOf("git");
  });
  afterAll(() => world.close());

  test("is taken once its manifests are there, and named by a pointer with what it lacks", async () => {
    const [{ config, manifest, recipe }] = await childrenOf(stocks, "git");
    const omitted = omit("arm64", "no package git");
    const index = await composeIndex([{ recipe, manifest }], [omitted], "oci-zstd");
    const put = () => world.push("PUT", ingestPath.manifest(index.digest), index.bytes);
    const early = await put();
    expect(early.status).toBe(404);
    const { code, detail } = await errorOf(early);
    expect([code, detail]).toStrictEqual(["MANIFEST_BLOB_UNKNOWN", [manifest.digest]]);

    await world.pushBlobs(stocks.amd64);
    await ok(world.push("PUT", ingestPath.blob(config.digest), config.bytes));
    await ok(world.push("PUT", ingestPath.manifest(manifest.digest), manifest.bytes));
    await ok(put());
    const image = {
      ...imagePointer("git", "latest", index.digest, PIN, NOW_MS),
      recipe: "amd64+arm64/cacert/git/iana-etc",
      omitted: 'linux/arm64="no package git"',
    };
    const tag = { tag: image.tag, pins: tagPins(stocks.amd64, PIN, NOW_MS) };
    await ok(world.push("POST", ingestPath.pointers, { tag, image }));

    const response = await world.pull(manifestPath("git", "latest"), { headers: TAKES_INDEX });
    expect(response.headers.get("Docker-Content-Digest")).toBe(index.digest);
    expect(response.headers.get("Nixport-Omitted")).toBe('linux/arm64="no package git"');
  });

  test("gives a client that takes none the first image that it has", async () => {
    const [, { config, manifest, recipe }] = await childrenOf(stocks, "git");
    const index = await composeIndex([{ recipe, manifest }], [omit("amd64", "no")], "oci-zstd");
    await world.pushBlobs(stocks.arm64);
    await ok(world.push("PUT", ingestPath.blob(config.digest), config.bytes));
    for (const { digest, bytes } of [manifest, index]) {
      await ok(world.push("PUT", ingestPath.manifest(digest), bytes));
    }
    const image = {
      ...imagePointer("git", "v3", index.digest, PIN, NOW_MS),
      recipe: "amd64+arm64/cacert/git/iana-etc",
    };
    await ok(world.push("POST", ingestPath.pointers, { tag: null, image }));
    const response = await world.pull(manifestPath("git", "v3"), { headers: TAKES_NONE });
    expect(response.headers.get("Docker-Content-Digest")).toBe(manifest.digest);
    expect(response.headers.get("Nixport-Pin")).toBe(PIN);
    expect(response.headers.get("Nixport-Packing")).toBe(PACKINGS.zstd);
    expect(cacheStatus(response) ?? "").toMatch(/^nixport; hit/);
  });

  test("is refused when it names more than there are platforms, or none", async () => {
    const [{ manifest }] = await childrenOf(stocks, "git");
    const descriptor = { digest: manifest.digest, size: manifest.bytes.length };
    for (const manifests of [[], [descriptor, descriptor, descriptor]]) {
      const text = JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests });
      const bytes = new TextEncoder().encode(text);
      const path = ingestPath.manifest(await digestOf(bytes));
      const response = await world.push("PUT", path, bytes);
      expect((await errorOf(response)).code).toBe("MANIFEST_INVALID");
    }
  });
});

describe("an origin behind an edge for two platforms", () => {
  let world: World;
  let stocks: Stocks;
  beforeAll(async () => {
    world = await startWorld({ platforms: ["arm64", "amd64"] });
    stocks = await stocksOf("git");
  });
  afterAll(() => world.close());

  const asked = () => {
    const { accept, "nixport-platforms": platforms } = world.origin.asked.at(-1)?.headers ?? {};
    return [accept, platforms];
  };

  test("is asked for the edge's platforms, as an index only where the client takes one", async () => {
    const rows: readonly [name: string, headers: Record<string, string>, accept: string][] = [
      ["git", TAKES_INDEX, `${OCI_MANIFEST}, ${OCI_INDEX}`],
      ["git", TAKES_NONE, OCI_MANIFEST],
      ["amd64/git", TAKES_INDEX, OCI_MANIFEST],
    ];
    for (const [name, headers, accept] of rows) {
      await world.pull(manifestPath(name, "latest"), { headers });
      expect(asked()).toStrictEqual([accept, "linux/arm64,linux/amd64"]);
    }
  });

  test("is asked the same behind a stale answer", async () => {
    const [{ config, manifest, recipe }] = await childrenOf(stocks, "git");
    const index = await composeIndex([{ recipe, manifest }], [], "oci-zstd");
    await world.pushBlobs(stocks.amd64);
    await ok(world.push("PUT", ingestPath.blob(config.digest), config.bytes));
    await ok(world.push("PUT", ingestPath.manifest(manifest.digest), manifest.bytes));
    await ok(world.push("PUT", ingestPath.manifest(index.digest), index.bytes));
    const image = {
      ...imagePointer("git", "latest", index.digest, PIN, NOW_MS - 2 * PIN_FRESH_MS),
      recipe: "arm64+amd64/cacert/git/iana-etc",
    };
    await ok(world.push("POST", ingestPath.pointers, { tag: null, image }));
    const { promise, resolve } = Promise.withResolvers<string>();
    world.origin.answering = ({ method }) => {
      resolve(method);
      return { status: 200 };
    };
    const response = await world.pull(manifestPath("git", "latest"), { headers: TAKES_INDEX });
    expect(response.headers.get("Warning") ?? "").toMatch(/^299 /);
    expect(await promise).toBe("HEAD");
    expect(asked()).toStrictEqual([`${OCI_MANIFEST}, ${OCI_INDEX}`, "linux/arm64,linux/amd64"]);
  });

  test("may say what an index lacks, but may not answer an index to one who takes none", async () => {
    const index = await composeIndex(await childrenOf(stocks, "git"), [], "oci-zstd");
    world.origin.answering = () => ({
      status: 200,
      headers: {
        "Content-Type": index.mediaType,
        "Docker-Content-Digest": index.digest,
        "Nixport-Omitted": 'linux/riscv64="not yet"',
      },
      body: index.bytes,
    });
    const taken = await world.pull(manifestPath("git", "v2"), { headers: TAKES_INDEX });
    expect(taken.headers.get("Docker-Content-Digest")).toBe(index.digest);
    expect(taken.headers.get("Nixport-Omitted")).toBe('linux/riscv64="not yet"');
    const refused = await world.pull(manifestPath("git", "v2"), { headers: TAKES_NONE });
    expect(refused.status).toBe(503);
    expect((await errorOf(refused)).code).toBe("UNAVAILABLE");
  });
});
