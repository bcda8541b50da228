// What the origin pushes: what is refused, and that nothing names what is not there.

import { afterAll, assert, beforeAll, describe, expect, test } from "vitest";
import type { TagPins } from "../../../registry/between/tag-pins.ts";
import { ingestPath } from "../../../registry/http/route.ts";
import { COMPOSE_VERSION } from "../../../registry/image/compose.ts";
import { type Digest, digestOf } from "../../../registry/naming/digest.ts";
import { digestOfText, packingIdOf, pinOf, tagOf } from "../../registry/fixture.ts";
import { NOW_MS } from "../controls.ts";
import {
  imageOf,
  imagePointer,
  lookupsBody,
  recordsBody,
  type Stock,
  stockOf,
  tagPins,
} from "../stock.ts";
import { blobPath, errorOf, manifestPath, operationsOf, startWorld, type World } from "../world.ts";

const PIN = pinOf("a".repeat(40));
const TEXT = new TextEncoder();

describe("ingest", () => {
  let world: World;
  let stock: Stock;
  beforeAll(async () => {
    world = await startWorld();
    stock = await stockOf(["git"]);
    await world.origin.stop();
  });
  afterAll(() => world.close());

  async function r2Keys(prefix: string): Promise<readonly string[]> {
    const bucket = await world.edge.miniflare.getR2Bucket("R2");
    return (await bucket.list({ prefix })).objects.map(({ key }) => key);
  }

  async function kvKeys(prefix: string): Promise<readonly string[]> {
    const kv = await world.edge.miniflare.getKVNamespace("KV");
    return (await kv.list({ prefix })).keys.map(({ name }) => name);
  }

  async function keptPins(tag: string): Promise<TagPins> {
    const kv = await world.edge.miniflare.getKVNamespace("KV");
    return JSON.parse(`${await kv.get(`t/${tag}`)}`) as TagPins;
  }

  const bytes = TEXT.encode("a blob");
  test.for([ingestPath.records, ingestPath.lookups, ingestPath.pointers])(
    "answers 400 to %s with a body that is not as it should be",
    async (path) => {
      const response = await world.push("POST", path, { records: [1], lookups: 2 });
      expect(response.status).toBe(400);
      expect((await errorOf(response)).code).toBe("MANIFEST_INVALID");
    },
  );

  test("keeps a blob once: 201, then 200", async () => {
    const own = TEXT.encode("kept once");
    const digest = await digestOf(own);
    const statuses = [];
    for (const _ of [1, 2]) {
      statuses.push((await world.push("PUT", ingestPath.blob(digest), own)).status);
    }
    expect(statuses).toStrictEqual([201, 200]);
    expect(await (await world.pull(blobPath(digest))).bytes()).toStrictEqual(own);
  });

  test("refuses bytes that are not the digest's, and shows nothing of them", async () => {
    const digest = digestOfText("something else");
    const response = await world.push("PUT", ingestPath.blob(digest), bytes);
    expect(response.status).toBe(400);
    expect((await errorOf(response)).code).toBe("DIGEST_INVALID");
    expect((await world.pull(blobPath(digest))).status).toBe(503);
  });

  test("refuses records whose layers are not there, naming them, and keeps none", async () => {
    const other = await stockOf(["jq"], "-missing");
    const response = await world.push("POST", ingestPath.records, recordsBody(other));
    expect(response.status).toBe(404);
    const { code, detail } = await errorOf(response);
    expect(code).toBe("MANIFEST_BLOB_UNKNOWN");
    const bundles = [...other.records.values()].flatMap((record) => record.bundles);
    for (const { digest } of bundles) expect(detail as Digest[]).toContain(digest);
    expect(await kvKeys("r/")).toStrictEqual([]);
    expect(await r2Keys("outputs/")).toStrictEqual([]);
  });

  test("refuses records made with popularity data that are not there, naming them", async () => {
    const other = await stockOf(["git"], "-unpopular");
    await world.pushBlobs(other);
    const digest = await digestOf(new TextEncoder().encode("absent data"));
    const packing = packingIdOf(`zstd-1.${digest.slice("sha256:".length)}`);
    const records = recordsBody(other).records.map((record) => ({ ...record, packing }));
    const response = await world.push("POST", ingestPath.records, { records });
    expect(response.status).toBe(404);
    expect((await errorOf(response)).detail).toStrictEqual([digest]);
    expect(await kvKeys("r/")).toStrictEqual([]);
  });

  test("refuses records whose layers are there in another size", async () => {
    const other = await stockOf(["jq"], "-resized");
    await world.pushBlobs(other);
    const { records } = recordsBody(other);
    const resized = records.map((record) => ({
      ...record,
      bundles: record.bundles.map((bundle) => ({ ...bundle, sizeBytes: bundle.sizeBytes + 1 })),
    }));
    const response = await world.push("POST", ingestPath.records, { records: resized });
    const { code, detail } = await errorOf(response);
    expect(code).toBe("MANIFEST_BLOB_UNKNOWN");
    const bundles = resized.flatMap((record) => record.bundles.map(({ digest }) => digest));
    expect(detail).toStrictEqual(bundles.sort());
  });

  test("names layers that are not there however many they are, for else they never come", async () => {
    const { records } = recordsBody(await stockOf(["jq"], "-emptied"));
    const [first] = records;
    const [bundle] = first?.bundles ?? [];
    assert(first !== undefined && bundle !== undefined);
    const bundles = Array.from({ length: 1500 }, (_, index) => ({
      ...{ ...bundle, digest: digestOfText(`layer ${index}`) },
    }));
    const body = { records: [{ ...first, bundles }] };
    const { detail } = await errorOf(await world.push("POST", ingestPath.records, body));
    const digests = new Set(bundles.map(({ digest }) => digest));
    assert(Array.isArray(detail) && detail.length > 100);
    expect(detail.filter((each) => !digests.has(each))).toStrictEqual([]);
  });

  test("refuses what takes more calls than a request has, and looks for nothing of it", async () => {
    const many = await stockOf(Array.from({ length: 30 }, (_, index) => `many${index}`));
    const records = { records: recordsBody(many).records.slice(0, 16) };
    for (const [path, body] of [
      [ingestPath.records, records],
      [ingestPath.lookups, lookupsBody(many, PIN)],
    ] as const) {
      const response = await world.push("POST", path, body);
      expect(response.status).toBe(400);
      const { code, message } = await errorOf(response);
      expect(code).toBe("SIZE_INVALID");
      expect(message).toMatch(/^the body takes \d+ calls of the storage, of 48 that one may take/);
      expect(operationsOf(response)).toStrictEqual({});
    }
  });

  test("refuses lookups whose outputs have no record", async () => {
    const response = await world.push("POST", ingestPath.lookups, lookupsBody(stock, PIN));
    expect(response.status).toBe(400);
    expect(await kvKeys("l/")).toStrictEqual([]);
    await response.body?.cancel();
  });

  test("refuses lookups of whose outputs only a database of Nix is known", async () => {
    const inside = await stockOf(["nix"], "-inside");
    await world.pushBlobs(inside);
    const { records } = recordsBody(inside);
    const databases = { records: records.filter(({ kind }) => kind === "database") };
    expect((await world.push("POST", ingestPath.records, databases)).status).toBe(200);
    const response = await world.push("POST", ingestPath.lookups, lookupsBody(inside, PIN));
    expect(response.status).toBe(400);
    await response.body?.cancel();
  });

  test("refuses a manifest whose layers are not there, and a pointer to no manifest", async () => {
    const { manifest } = await imageOf(stock, "git");
    const put = await world.push("PUT", ingestPath.manifest(manifest.digest), manifest.bytes);
    expect((await errorOf(put)).code).toBe("MANIFEST_BLOB_UNKNOWN");
    expect(await r2Keys("manifests/")).toStrictEqual([]);
    const image = imagePointer("git", "latest", manifest.digest, PIN, NOW_MS);
    const post = await world.push("POST", ingestPath.pointers, { tag: null, image });
    expect((await errorOf(post)).code).toBe("MANIFEST_UNKNOWN");
    expect([...(await kvKeys("p/")), ...(await r2Keys("pointers/"))]).toStrictEqual([]);
  });

  test("refuses a pointer to a manifest that it only knows from the origin's answer", async () => {
    const { manifest } = await imageOf(await stockOf(["git"], "-answered"), "git");
    await world.origin.start();
    world.origin.answering = () => ({
      status: 200,
      headers: { "Content-Type": manifest.mediaType, "Docker-Content-Digest": manifest.digest },
      body: manifest.bytes,
    });
    const path = manifestPath("git", manifest.digest);
    expect((await world.pull(path)).status).toBe(200);
    await world.origin.stop();
    // This isolate remembers it.
    expect((await world.pull(path)).status).toBe(200);
    const image = imagePointer("git", "latest", manifest.digest, PIN, NOW_MS);
    const post = await world.push("POST", ingestPath.pointers, { tag: null, image });
    expect((await errorOf(post)).code).toBe("MANIFEST_UNKNOWN");
  });

  test("refuses a manifest that is not what the path says", async () => {
    const { manifest } = await imageOf(stock, "git");
    const path = ingestPath.manifest(digestOfText("other"));
    const response = await world.push("PUT", path, manifest.bytes);
    expect((await errorOf(response)).code).toBe("DIGEST_INVALID");
  });

  test("takes a whole image, twice, to the same effect", async () => {
    const backfill = { tag: "latest", pin: PIN, repositories: ["git"] };
    await world.backfill(stock, backfill);
    const keys = async () => [...(await r2Keys("")), ...(await kvKeys(""))];
    const once = await keys();
    await world.backfill(stock, backfill);
    expect(await keys()).toStrictEqual(once);
    const { manifest } = await imageOf(stock, "git");
    const response = await world.pull(manifestPath("git", "latest"));
    expect(response.headers.get("Docker-Content-Digest")).toBe(manifest.digest);
  });

  test("an older pointer never replaces a newer one", async () => {
    const newer = await stockOf(["git"], "-2");
    const [old, current] = [await imageOf(stock, "git"), await imageOf(newer, "git")];
    await world.backfill(stock, { tag: "t", pin: PIN, resolvedAtMs: 1, repositories: ["git"] });
    const pin = pinOf("b".repeat(40));
    await world.backfill(newer, { tag: "t", pin, resolvedAtMs: 3, repositories: ["git"] });
    const late = imagePointer("git", "t", old.manifest.digest, PIN, 2);
    const response = await world.push("POST", ingestPath.pointers, { tag: null, image: late });
    expect(response.status).toBe(200);
    const pulled = await world.pull(manifestPath("git", "t"));
    expect(pulled.headers.get("Docker-Content-Digest")).toBe(current.manifest.digest);
    expect(pulled.headers.get("Nixport-Pin")).toBe(pin);
  });

  test.for([
    ["a pointer", ["git"]],
    ["a tag's pin", []],
  ] as const)("%s of a time to come gives way to what is told now", async ([, repositories]) => {
    const newer = await stockOf(["git"], "-2");
    const [old, current] = [await imageOf(stock, "git"), await imageOf(newer, "git")];
    const tag = tagOf(`back-${repositories.length}`);
    await world.backfill(stock, { tag, pin: PIN, resolvedAtMs: 1, repositories });
    // Within what a token's clock may be off by.
    const nowMs = NOW_MS + 50_000;
    const body = {
      tag: { tag, pins: tagPins(stock, PIN, nowMs) },
      image:
        repositories.length === 0
          ? null
          : imagePointer("git", tag, old.manifest.digest, PIN, nowMs),
    };
    const ahead = await world.push("POST", ingestPath.pointers, body, { controls: { nowMs } });
    expect(ahead.status).toBe(200);
    const pin = pinOf("c".repeat(40));
    await world.backfill(newer, { tag, pin, resolvedAtMs: NOW_MS - 1, repositories });
    const pulled = await world.pull(manifestPath("git", tag));
    expect(pulled.headers.get("Docker-Content-Digest")).toBe(current.manifest.digest);
    expect(pulled.headers.get("Nixport-Pin")).toBe(pin);
  });

  test("an older pointer never replaces a newer one that is written at the same time", async () => {
    const newer = await stockOf(["git"], "-2");
    const [old, current] = [await imageOf(stock, "git"), await imageOf(newer, "git")];
    const repositories = ["git"];
    await world.backfill(newer, { tag: "winner", pin: PIN, resolvedAtMs: 3, repositories });
    await world.backfill(stock, { tag: "race", pin: PIN, resolvedAtMs: 1, repositories });
    const image = imagePointer("git", "race", old.manifest.digest, PIN, 2);
    const body = { tag: null, image };
    const controls = { overtakenBy: "winner" };
    const response = await world.push("POST", ingestPath.pointers, body, { controls });
    expect(response.status).toBe(200);
    const pulled = await world.pull(manifestPath("git", "race"));
    expect(pulled.headers.get("Docker-Content-Digest")).toBe(current.manifest.digest);
  });

  test("a tag keeps its newest pins, each once", async () => {
    const pins = ["1", "2", "3", "4", "5"].map((digit) => pinOf(digit.repeat(40)));
    const [p1, p2, p3, p4, p5] = pins;
    for (const [index, pin] of [p3, p1, p2, p5, p4, p1].entries()) {
      assert(pin);
      const resolvedAtMs = index === 5 ? 1000 : 10 * Number(pin[0]);
      const tag = { tag: tagOf("many"), pins: tagPins(stock, pin, resolvedAtMs) };
      const response = await world.push("POST", ingestPath.pointers, { tag, image: null });
      expect(response.status).toBe(200);
    }
    const kept = await keptPins("many");
    expect(kept.pins.map(({ pin }) => pin)).toStrictEqual([p1, p5, p4, p3]);
    // Where it led, for people: each move in its place, whenever it was told.
    expect(kept.moves?.map(({ pin }) => pin)).toStrictEqual([p1, p5, p4, p3, p2, p1]);
  });

  test("a time ahead of the edge's clock counts as now", async () => {
    const { manifest } = await imageOf(stock, "git");
    const image = imagePointer("git", "ahead", manifest.digest, PIN, NOW_MS * 2);
    await world.push("POST", ingestPath.pointers, { tag: null, image });
    const bucket = await world.edge.miniflare.getR2Bucket("R2");
    const [key] = await r2Keys(`pointers/${COMPOSE_VERSION}/oci-zstd/ahead/`);
    const object = await bucket.head(`${key}`);
    expect(object?.customMetadata?.resolvedAtMs).toBe(String(NOW_MS));
  });

  test("a recipe beyond a key's length has a key all the same", async () => {
    const names = Array.from({ length: 60 }, (_, index) => `a${index}`);
    const repository = names.join("/");
    const many = await stockOf(names.slice(0, 10), "-long");
    await world.backfill(many, { tag: "x".repeat(128), pin: PIN });
    const { manifest } = await imageOf(stock, "git");
    const image = {
      ...imagePointer(repository, "x".repeat(128), manifest.digest, PIN, NOW_MS),
      recipe: `${"package/".repeat(60)}cacert/iana-etc`,
    };
    const response = await world.push("POST", ingestPath.pointers, { tag: null, image });
    expect(response.status).toBe(200);
    for (const key of await kvKeys("p/")) expect(key.length).toBeLessThanOrEqual(512);
  });

  test.for([
    ["an unknown collection", "/ingest/other", "POST"],
    ["a malformed digest", "/ingest/blobs/sha256:x", "PUT"],
  ] as const)("refuses %s", async ([, path, method]) => {
    const response = await world.push(method, path, {});
    expect(response.status).toBeOneOf([400, 404]);
    await response.body?.cancel();
  });
});
