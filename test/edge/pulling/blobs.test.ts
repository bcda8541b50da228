// Blobs: ranges, conditions, the tiers, and an origin that lies.

import { once } from "node:events";
import { get, type IncomingMessage } from "node:http";
import { Response as MiniflareResponse } from "miniflare";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { ingestPath } from "../../../registry/http/route.ts";
import { type Digest, digestOf } from "../../../registry/naming/digest.ts";
import { digestOfText } from "../../registry/fixture.ts";
import { registryError, type Told } from "../fake-origin.ts";
import { blobPath, cacheStatus, errorOf, operationsOf, startWorld, type World } from "../world.ts";

const SIZE_BYTES = 1000;
const BYTES = Uint8Array.from({ length: SIZE_BYTES }, (_, index) => index % 251);
/** Beyond what is read whole before it is answered. */
const LARGE = Uint8Array.from({ length: 600_000 }, (_, index) => (index * 7) % 253);

describe("GET /v2/<name>/blobs/<digest>", () => {
  let world: World;
  let digest: Digest;
  let large: Digest;
  beforeAll(async () => {
    world = await startWorld();
    digest = await digestOf(BYTES);
    large = await digestOf(LARGE);
    for (const [each, bytes] of [
      [digest, BYTES],
      [large, LARGE],
    ] as const) {
      expect((await world.push("PUT", ingestPath.blob(each), bytes)).status).toBe(201);
    }
  });
  beforeEach(async () => {
    await world.origin.start();
    world.origin.answering = () => undefined;
  });
  afterAll(() => world.close());

  test("is one R2 get, then the location's cache for a small blob", async () => {
    const first = await world.pull(blobPath(digest));
    expect(cacheStatus(first)).toBe("nixport; hit; detail=r2");
    expect(operationsOf(first)).toStrictEqual({ "r2.get": 1 });
    expect(await first.bytes()).toStrictEqual(BYTES);
    const second = await world.pull(blobPath(digest));
    expect(cacheStatus(second)).toBe("nixport; hit; detail=cache");
    expect(operationsOf(second)).toStrictEqual({});
    expect(await second.bytes()).toStrictEqual(BYTES);
    expect(blobHeaders(second)).toStrictEqual(blobHeaders(first));
  });

  test("is one copy in the location's cache, whatever port and scheme a client names", async () => {
    await (await world.pull(blobPath(digest))).bytes();
    for (const host of ["127.0.0.1:1", "127.0.0.1", "127.0.0.1:8443"]) {
      const asked = get(world.edge.url + blobPath(digest), { headers: { host } });
      const [response] = (await once(asked, "response")) as [IncomingMessage];
      response.resume();
      expect(response.headers["cache-status"]).toBe("nixport; hit; detail=cache");
    }
  });

  test("is R2's where the location's cache holds other bytes, which are removed", async () => {
    const cache = (await world.edge.miniflare.getCaches()).default;
    const url = `https://127.0.0.1/cached-blobs/${digest}`;
    await cache.put(
      url,
      new MiniflareResponse(BYTES.toReversed(), { headers: { "Cache-Control": "max-age=900" } }),
    );
    const response = await world.pull(blobPath(digest));
    expect(cacheStatus(response)).toBe("nixport; hit; detail=r2");
    expect(await response.bytes()).toStrictEqual(BYTES);
    expect(world.log.join()).toMatch(/corrupt blob removed/);
    const healed = await world.pull(blobPath(digest));
    expect(cacheStatus(healed)).toBe("nixport; hit; detail=cache");
    expect(await healed.bytes()).toStrictEqual(BYTES);
  });

  test("is the origin's where R2 holds other bytes, which are removed", async () => {
    const wrong = BYTES.map((byte) => byte ^ 7);
    const own = await digestOf(wrong);
    const bucket = await world.edge.miniflare.getR2Bucket("R2");
    await bucket.put(`blobs/${own.slice(7, 9)}/${own.slice(7)}`, BYTES);
    world.origin.answering = () => ({ status: 200, body: wrong });
    const response = await world.pull(blobPath(own));
    expect(cacheStatus(response)).toBe("nixport; fwd=miss");
    expect(await response.bytes()).toStrictEqual(wrong);
    expect(await bucket.head(`blobs/${own.slice(7, 9)}/${own.slice(7)}`)).toBeNull();
  });

  test("says what it is and that it never changes", async () => {
    const { headers } = await world.pull(blobPath(large), { method: "HEAD" });
    expect(headers.get("Content-Type")).toBe("application/octet-stream");
    expect(headers.get("Content-Length")).toBe(String(LARGE.length));
    expect(headers.get("Accept-Ranges")).toBe("bytes");
    expect(headers.get("Docker-Content-Digest")).toBe(large);
    expect(headers.get("Content-Encoding")).toBeNull();
    expect(headers.get("Cache-Control") ?? "").toMatch(/immutable, no-transform/);
  });

  test("is 404 where neither R2 nor the origin has it", async () => {
    world.origin.answering = () => registryError(404, "BLOB_UNKNOWN", "no such blob");
    const response = await world.pull(blobPath(digestOfText("absent")));
    expect(response.status).toBe(404);
    expect((await errorOf(response)).code).toBe("BLOB_UNKNOWN");
  });

  const ranges: readonly (readonly [
    title: string,
    headers: (digest: Digest) => Record<string, string>,
    status: number,
    contentRange: string | null,
    part: readonly [number, number] | null,
  ])[] = [
    ["a single range", () => ({ Range: "bytes=10-19" }), 206, "bytes 10-19/1000", [10, 20]],
    ["an open range", () => ({ Range: "bytes=990-" }), 206, "bytes 990-999/1000", [990, 1000]],
    ["a suffix", () => ({ Range: "bytes=-5" }), 206, "bytes 995-999/1000", [995, 1000]],
    ["a suffix beyond all", () => ({ Range: "bytes=-5000" }), 206, "bytes 0-999/1000", [0, 1000]],
    [
      "an end past the end",
      () => ({ Range: "bytes=990-5000" }),
      206,
      "bytes 990-999/1000",
      [990, 1000],
    ],
    [
      "an end at the largest number",
      () => ({ Range: "bytes=990-9223372036854775807" }),
      206,
      "bytes 990-999/1000",
      [990, 1000],
    ],
    [
      "a start at the largest number",
      () => ({ Range: "bytes=9223372036854775807-" }),
      416,
      "bytes */1000",
      null,
    ],
    ["a start past the end", () => ({ Range: "bytes=1000-" }), 416, "bytes */1000", null],
    [
      "a closed range past the end",
      () => ({ Range: "bytes=2000-2001" }),
      416,
      "bytes */1000",
      null,
    ],
    ["a start at the end", () => ({ Range: "bytes=1000-1001" }), 416, "bytes */1000", null],
    ["an empty suffix", () => ({ Range: "bytes=-0" }), 416, "bytes */1000", null],
    ["a backward range", () => ({ Range: "bytes=9-2" }), 200, null, [0, 1000]],
    ["a malformed range", () => ({ Range: "bytes=a-b" }), 200, null, [0, 1000]],
    ["another unit", () => ({ Range: "lines=1-2" }), 200, null, [0, 1000]],
    [
      "If-Range with the digest",
      (own) => ({ Range: "bytes=0-1", "If-Range": `"${own}"` }),
      206,
      "bytes 0-1/1000",
      [0, 2],
    ],
    [
      "If-Range with another version",
      () => ({ Range: "bytes=0-1", "If-Range": '"other"' }),
      200,
      null,
      [0, 1000],
    ],
    ["If-None-Match with the digest", (own) => ({ "If-None-Match": `"${own}"` }), 304, null, null],
    ["If-Match with the digest", (own) => ({ "If-Match": `"${own}"` }), 200, null, [0, 1000]],
    ["If-Match with another", () => ({ "If-Match": '"other"' }), 412, null, null],
    ["If-None-Match with another", () => ({ "If-None-Match": '"other"' }), 200, null, [0, 1000]],
  ];

  for (const where of ["R2", "the origin"]) {
    for (const [title, headersOf, status, contentRange, part] of ranges) {
      test(`answers ${title} with ${status} from ${where}`, async () => {
        const blob = where === "R2" ? BYTES : BYTES.map((byte) => byte ^ 255);
        const own = await digestOf(blob);
        world.origin.answering = ({ headers }) => rangeAnswer(blob, headers.range);
        // Whatever is left in a cache by another row must not answer for R2.
        await world.edge.miniflare.purgeCache();
        const controls = { coldMemory: true };
        const response = await world.pull(blobPath(own), { headers: headersOf(own), controls });
        const bytes = await response.bytes();
        expect(response.status).toBe(status);
        expect(response.headers.get("Content-Range")).toBe(contentRange);
        expect(bytes).toStrictEqual(part === null ? new Uint8Array() : blob.slice(...part));
        // What the edge has not compared with the digest is nothing for a shared cache.
        const isCompared = status === 304 || (where === "R2" ? status < 300 : status === 200);
        expect(/immutable/.test(response.headers.get("Cache-Control") ?? "")).toBe(isCompared);
        const expected = where === "R2" ? "nixport; hit; detail=r2" : "nixport; fwd=miss";
        expect(cacheStatus(response)).toBe(expected);
        const operations = operationsOf(response) as Record<string, number>;
        // Only a range that cannot be satisfied takes a second one, for the size 416 must tell.
        const count = (operations["r2.get"] ?? 0) + (operations["r2.head"] ?? 0);
        expect(count).toBe(where === "R2" && status === 416 ? 2 : 1);
      });
    }
  }

  test("is the origin's part where R2 gives another than it was asked for", async () => {
    world.origin.answering = ({ headers }) => rangeAnswer(BYTES, headers.range);
    const response = await world.pull(blobPath(digest), {
      ...{ headers: { Range: "bytes=10-19" }, controls: { wrongRange: true } },
    });
    expect(cacheStatus(response)).toBe("nixport; fwd=miss");
    expect(response.headers.get("Content-Range")).toBe("bytes 10-19/1000");
    expect(await response.bytes()).toStrictEqual(BYTES.slice(10, 20));
  });

  test("HEAD ignores a range, moves no body and asks the origin by HEAD", async () => {
    world.origin.asked.length = 0;
    const absent = digestOfText("at the origin only");
    world.origin.answering = () => ({ status: 200, headers: { "Content-Length": "5000000" } });
    const response = await world.pull(blobPath(absent), {
      method: "HEAD",
      headers: { Range: "bytes=0-1" },
    });
    expect(response.status).toBe(200);
    expect(response.headers.get("Content-Length")).toBe("5000000");
    expect(response.headers.get("Cache-Control")).toBe("no-store, no-transform");
    expect(world.origin.asked.map(({ method }) => method)).toStrictEqual(["HEAD"]);
    expect(world.origin.asked[0]?.headers.range).toBeUndefined();
  });

  test("HEAD of a blob that nobody has is the 404 that GET is", async () => {
    world.origin.answering = () => registryError(404, "BLOB_UNKNOWN", "no such blob");
    const response = await world.pull(blobPath(digestOfText("nowhere")), { method: "HEAD" });
    expect(response.status).toBe(404);
    expect(await response.text()).toBe("");
  });

  test("streams what only the origin has, and writes nothing", async () => {
    const bytes = LARGE.map((byte) => byte ^ 1);
    const own = await digestOf(bytes);
    world.origin.answering = () => ({ status: 200, body: bytes });
    const response = await world.pull(blobPath(own));
    expect(response.headers.get("Content-Length")).toBe(String(bytes.length));
    expect(await response.bytes()).toStrictEqual(bytes);
    expect(operationsOf(response)).toStrictEqual({ "r2.get": 1 });
  });

  const lies: readonly (readonly [title: string, told: Told])[] = [
    ["other bytes of the same length", { status: 200, body: LARGE.map((byte) => byte ^ 2) }],
    ["bytes that end early", { status: 200, body: LARGE.slice(1) }],
    ["one byte only", { status: 200, body: "x" }],
  ];
  test.for(lies)("never completes a blob for which the origin gives %s", async ([title, told]) => {
    world.origin.answering = () => told;
    const absent = digestOfText(`lie: ${title}`);
    await expect(async () => {
      const response = await world.pull(blobPath(absent));
      expect(response.status).toBe(200);
      await response.bytes();
    }).rejects.toThrow();
    const bucket = await world.edge.miniflare.getR2Bucket("R2");
    expect(await bucket.head(`blobs/${absent.slice(7, 9)}/${absent.slice(7)}`)).toBeNull();
  });

  test.for([
    ["another range", { status: 206, headers: { "Content-Range": "bytes 1-2/10" }, body: "ab" }],
    ["nothing", { status: 200, body: "" }],
    ["a range without its place", { status: 206, body: "ab" }],
    ["a coded body", { status: 200, headers: { "Content-Encoding": "br" }, body: "ab" }],
    [
      "a page of a proxy",
      { status: 413, headers: { "Content-Type": "text/html" }, body: "<html>" },
    ],
    ["a huge page", { status: 404, body: "x".repeat(1_000_000) }],
    ["an error without an error", { status: 404, body: "{}" }],
    ["a code with another's status", registryError(404, "DENIED", "no")],
    ["a refused token", registryError(401, "UNAUTHORIZED", "who are you")],
    ["an error of its own", registryError(500, "UNKNOWN", "internal")],
  ] as const)("answers 503 where the origin gives %s", async ([title, told]) => {
    world.origin.answering = () => told;
    const response = await world.pull(blobPath(digestOfText(title)), {
      headers: { Range: "bytes=0-1" },
    });
    expect(response.status).toBe(503);
    expect(response.headers.has("Retry-After")).toBe(true);
    expect((await errorOf(response)).code).toBe("UNAVAILABLE");
  });
});

function rangeAnswer(bytes: Uint8Array, range: string | undefined): Told {
  const match = /^bytes=(\d*)-(\d*)$/.exec(range ?? "");
  if (match === null) return { status: 200, body: bytes };
  const [, first = "", last = ""] = match;
  const start = first === "" ? Math.max(0, bytes.length - Number(last)) : Number(first);
  const end = first === "" || last === "" ? bytes.length - 1 : Math.min(Number(last), 999);
  if (first !== "" && last !== "" && Number(last) < start) return { status: 200, body: bytes };
  if (start >= bytes.length) {
    return { status: 416, headers: { "Content-Range": `bytes */${bytes.length}` } };
  }
  const headers = { "Content-Range": `bytes ${start}-${end}/${bytes.length}` };
  return { status: 206, headers, body: bytes.slice(start, end + 1) };
}

function blobHeaders({ headers }: Response): Record<string, string> {
  const volatile = ["date", "server-timing", "cache-status", "test-operations", "test-subrequests"];
  return Object.fromEntries([...headers].filter(([name]) => !volatile.includes(name)));
}
