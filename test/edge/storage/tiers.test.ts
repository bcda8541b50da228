// A tier that fails, is slow or holds the wrong bytes is a miss, never an answer.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { COMPOSE_VERSION, type ComposedImage } from "../../../registry/image/compose.ts";
import { digestHex, digestOf } from "../../../registry/naming/digest.ts";
import { digestOfText, pinOf } from "../../registry/fixture.ts";
import type { Controls } from "../controls.ts";
import { registryError, type Told } from "../fake-origin.ts";
import { imageOf, type Stock, stockOf } from "../stock.ts";
import {
  blobPath,
  cacheStatus,
  errorOf,
  manifestPath,
  operationsOf,
  startWorld,
  type World,
} from "../world.ts";

const PIN = pinOf("a".repeat(40));

describe("tiers", () => {
  let world: World;
  let stock: Stock;
  let image: ComposedImage;
  beforeAll(async () => {
    world = await startWorld();
    stock = await stockOf(["git"]);
    image = await imageOf(stock, "git");
  });
  afterAll(() => world.close());

  async function warm(tag: string): Promise<void> {
    await world.backfill(stock, { tag, pin: PIN, repositories: ["git"] });
    await world.origin.stop();
  }

  const rows: readonly (readonly [title: string, controls: Controls])[] = [
    ["KV fails", { fail: ["kv"], coldMemory: true }],
    ["KV does not answer", { hang: ["kv"], coldMemory: true, unsettled: true }],
  ];
  test.for(rows)("answers a tag and a digest from R2 while %s", async ([, controls]) => {
    await warm("kv");
    for (const reference of ["kv", image.manifest.digest]) {
      const response = await world.pull(manifestPath("git", reference), { controls });
      expect(response.status).toBe(200);
      expect(cacheStatus(response)).toBe("nixport; hit; detail=r2");
      expect(response.headers.get("Docker-Content-Digest")).toBe(image.manifest.digest);
    }
  });

  test("fills KV again from R2 behind the answer", async () => {
    await warm("wiped");
    const kv = await world.edge.miniflare.getKVNamespace("KV");
    for (const { name } of (await kv.list()).keys) await kv.delete(name);
    const controls = { coldMemory: true };
    for (const reference of ["wiped", image.manifest.digest]) {
      const first = await world.pull(manifestPath("git", reference), { controls });
      expect(cacheStatus(first)).toBe("nixport; hit; detail=r2");
      const second = await world.pull(manifestPath("git", reference), { controls });
      expect(cacheStatus(second)).toBe("nixport; hit; detail=kv");
      expect(operationsOf(second)).toStrictEqual({ "kv.getWithMetadata": 1 });
    }
  });

  test("answers manifests from KV and 503 for blobs while R2 fails and the origin is down", async () => {
    await warm("r2");
    const controls: Controls = { fail: ["r2"], coldMemory: true };
    const tag = await world.pull(manifestPath("git", "r2"), { controls });
    expect(cacheStatus(tag)).toBe("nixport; hit; detail=kv");
    const blob = await world.pull(blobPath(image.config.digest), { controls });
    expect(blob.status).toBe(503);
    expect((await errorOf(blob)).code).toBe("UNAVAILABLE");
  });

  test("answers manifests from a KV that is slow while R2 fails", async () => {
    await warm("slow-kv");
    const controls: Controls = { fail: ["r2"], slowKv: true, coldMemory: true };
    for (const reference of ["slow-kv", image.manifest.digest]) {
      const response = await world.pull(manifestPath("git", reference), { controls });
      expect(response.status).toBe(200);
      expect(cacheStatus(response)).toBe("nixport; hit; detail=kv");
    }
  });

  test("answers from the origin while KV does not answer and R2 fails", async () => {
    await world.origin.start();
    world.origin.answering = () => told(image);
    const response = await world.pull(manifestPath("git", image.manifest.digest), {
      controls: { fail: ["r2"], hang: ["kv"], coldMemory: true, unsettled: true },
    });
    expect(response.status).toBe(200);
    expect(cacheStatus(response)).toBe("nixport; fwd=miss");
  });

  test("answers from the origin while the limiter of misses fails", async () => {
    await world.origin.start();
    world.origin.answering = () => told(image);
    const response = await world.pull(manifestPath("tree", "unlimited"), {
      controls: { limiter: "fails" },
    });
    expect(response.status).toBe(200);
  });

  test("answers from the origin while both fail", async () => {
    await world.origin.start();
    world.origin.answering = () => told(image);
    const response = await world.pull(manifestPath("git", image.manifest.digest), {
      controls: { fail: ["kv", "r2"], coldMemory: true },
    });
    expect(response.status).toBe(200);
    expect(cacheStatus(response)).toBe("nixport; fwd=miss");
  });

  test("gives a composed image with its config while R2 fails", async () => {
    await warm("unstored");
    const controls: Controls = { fail: ["r2"], coldMemory: true, location: "unstored" };
    const response = await world.pull(manifestPath("iana-etc", "unstored"), { controls });
    expect(response.status).toBe(200);
    const { config } = (await response.json()) as { config: { digest: string } };
    const path = `/v2/iana-etc/blobs/${config.digest}`;
    const answered = await world.pull(path, { controls: { ...controls, location: "elsewhere" } });
    expect(answered.status).toBe(200);
    expect(await digestOf(await answered.bytes())).toBe(config.digest);
  });

  test("refuses and removes corrupt manifests, then has them of the origin", async () => {
    await warm("corrupt");
    const { digest, mediaType } = image.manifest;
    const key = `manifests/${digestHex(digest)}`;
    const kv = await world.edge.miniflare.getKVNamespace("KV");
    const r2 = await world.edge.miniflare.getR2Bucket("R2");
    await kv.put(`m/${digestHex(digest)}`, "corrupt", { metadata: { mediaType, size: 7 } });
    await r2.put(key, "corrupt", { httpMetadata: { contentType: mediaType } });
    const controls = { coldMemory: true };
    // Under a name of which it cannot be composed again.
    const path = manifestPath("tree", digest);
    const down = await world.pull(path, { controls });
    expect(down.status).toBe(503);
    expect(await r2.head(key)).toBeNull();
    expect(await kv.get(`m/${digestHex(digest)}`)).toBeNull();
    await world.origin.start();
    world.origin.answering = () => told(image);
    const up = await world.pull(path, { controls });
    expect(up.status).toBe(200);
    expect(cacheStatus(up)).toBe("nixport; fwd=miss");
    expect(await r2.head(key)).toBeNull();
  });

  test("does not answer with a corrupt pointer", async () => {
    await warm("bad");
    const kv = await world.edge.miniflare.getKVNamespace("KV");
    const [key] = (await kv.list({ prefix: `p/${COMPOSE_VERSION}/oci-zstd/bad/` })).keys;
    const { metadata } = await kv.getWithMetadata(`${key?.name}`);
    await kv.put(`${key?.name}`, "corrupt", { metadata });
    const response = await world.pull(manifestPath("git", "bad"));
    expect(cacheStatus(response)).toBe("nixport; hit; detail=r2");
    expect(response.headers.get("Docker-Content-Digest")).toBe(image.manifest.digest);
  });

  const lies: readonly (readonly [title: string, told: (image: ComposedImage) => Told])[] = [
    ["other bytes", (own) => ({ ...told(own), body: "{}" })],
    [
      "another digest",
      (own) => withHeader(own, "Docker-Content-Digest", `sha256:${"1".repeat(64)}`),
    ],
    ["no digest", (own) => withHeader(own, "Docker-Content-Digest", "")],
    ["another media type", (own) => withHeader(own, "Content-Type", "text/html")],
    ["more than any manifest", (own) => ({ ...told(own), body: new Uint8Array(5_000_000) })],
    ["500", () => registryError(500, "UNKNOWN", "a stack of its own")],
  ];
  test.for(lies)("answers 503 where the origin gives %s for a manifest", async ([, lie]) => {
    await world.origin.start();
    world.origin.answering = () => lie(image);
    const response = await world.pull(manifestPath("tree", "lie"));
    expect(response.status).toBe(503);
    expect((await errorOf(response)).code).toBe("UNAVAILABLE");
  });

  test("follows no redirect of the origin", async () => {
    await world.origin.start();
    world.origin.asked.length = 0;
    world.origin.answering = ({ path }) =>
      path === "/elsewhere" ? told(image) : { status: 302, headers: { Location: "/elsewhere" } };
    for (const path of [manifestPath("tree", "moved"), blobPath(digestOfText("moved"))]) {
      const response = await world.pull(path);
      expect(response.status).toBe(503);
      expect((await errorOf(response)).code).toBe("UNAVAILABLE");
    }
    expect(world.origin.asked.some(({ path }) => path === "/elsewhere")).toBe(false);
  });

  for (const [warning, passed] of [
    ['299 - "nixport: latest has moved on"', true],
    ['199 - "nixport: latest has moved on"', false],
    ['299 - "a", 299 - "b"', false],
    ["299 - unquoted", false],
    [`299 - "${"x".repeat(501)}"`, false],
  ] as const) {
    test(`${passed ? "passes on" : "drops"} ${warning.slice(0, 40)} of the origin`, async () => {
      await world.origin.start();
      world.origin.answering = () => withHeader(image, "Warning", warning);
      const { headers } = await world.pull(manifestPath("tree", "warned"));
      expect(headers.get("Warning")).toBe(passed ? warning : null);
    });
  }

  test("answers 503 where the origin does not answer in time", async () => {
    await world.origin.start();
    world.origin.answering = () => "by hand";
    const controls = { deadlineMs: 50 };
    const response = await world.pull(manifestPath("tree", "slow"), { controls });
    expect(response.status).toBe(503);
    expect((await errorOf(response)).message).toMatch(/did not answer in time/);
  });

  test.for([
    [404, "MANIFEST_UNKNOWN", null],
    [503, "UNAVAILABLE", "42"],
    [403, "DENIED", null],
  ] as const)(
    "passes the origin's $1 on, with its message and detail",
    async ([status, code, retryAfter]) => {
      await world.origin.start();
      const detail = { near: ["tree"] };
      world.origin.answering = () =>
        registryError(
          status,
          code,
          "in its own words",
          { "Retry-After": retryAfter ?? "" },
          detail,
        );
      const response = await world.pull(manifestPath("tree", "error"));
      expect(response.status).toBe(status);
      expect(response.headers.get("Retry-After")).toBe(retryAfter);
      expect(await errorOf(response)).toStrictEqual({ code, message: "in its own words", detail });
    },
  );

  test("has no client wait longer than an hour, whatever the origin says", async () => {
    await world.origin.start();
    const headers = { "Retry-After": "999999" };
    world.origin.answering = () => registryError(503, "UNAVAILABLE", "later", headers);
    const response = await world.pull(manifestPath("tree", "later"));
    expect(response.headers.get("Retry-After")).toBe("3600");
    await response.body?.cancel();
  });

  test("asks nothing of the origin for a client that has asked for too much", async () => {
    await world.backfill(stock, { tag: "within", pin: PIN, repositories: ["git"] });
    await world.origin.start();
    world.origin.asked.length = 0;
    const absent = digestOfText("beyond the limit");
    for (const [path, status] of [
      [manifestPath("git", "within"), 200],
      [manifestPath("git", image.manifest.digest), 200],
      [blobPath(image.config.digest), 200],
      [manifestPath("git", "beyond"), 429],
      [manifestPath("git", absent), 429],
      [blobPath(absent), 429],
    ] as const) {
      const response = await world.pull(path, { controls: { limiter: "refuses" } });
      expect(response.status, path).toBe(status);
      expect(response.headers.get("Retry-After")).toBe(status === 429 ? "60" : null);
      await response.body?.cancel();
    }
    expect(world.origin.asked).toStrictEqual([]);
  });

  test("limits what a client asks of the origin, where a limit is bound", async () => {
    const limited = await startWorld({ limitMisses: true });
    try {
      const statuses = new Set<number>();
      // Twice the limit and some: a minute may end in between.
      for (let asked = 0; asked < 1400 && !statuses.has(429); asked += 20) {
        const batch = Array.from({ length: 20 }, () => limited.pull(manifestPath("tree", "x")));
        for (const { status } of await Promise.all(batch)) statuses.add(status);
      }
      expect([...statuses].sort()).toStrictEqual([404, 429]);
    } finally {
      await limited.close();
    }
  });
});

function told({ manifest }: ComposedImage): Told & { headers: Record<string, string> } {
  return {
    status: 200,
    headers: {
      "Content-Type": manifest.mediaType,
      "Docker-Content-Digest": manifest.digest,
    },
    body: manifest.bytes,
  };
}

function withHeader(image: ComposedImage, name: string, value: string): Told {
  const right = told(image);
  return { ...right, headers: { ...right.headers, [name]: value } };
}
