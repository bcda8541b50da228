// Blobs: ranges, conditions, the tiers, and an origin that lies.

import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { ingestPath } from "../../../registry/http/route.ts";
import { type Digest, digestOf } from "../../../registry/naming/digest.ts";
import { digestOfText } from "../../registry/fixture.ts";
import { registryError, type Told } from "../fake-origin.ts";
import { blobPath, cacheStatus, errorOf, operationsOf, startWorld, type World } from "../world.ts";

const SIZE_BYTES = 1000;
const BYTES = Uint8Array.from({ length: SIZE_BYTES }, (_, index) => index % 251);
/** Beyond what goes into the location's cache. */
const LARGE = Uint8Array.from({ length: 600_000 }, (_, index) => (index * 7) % 253);

describe("GET /v2/<name>/blobs/<digest>", () => {
  let world: World;
  let digest: Digest;
  let large: Digest;
  before(async () => {
    world = await startWorld();
    digest = await digestOf(BYTES);
    large = await digestOf(LARGE);
    for (const [each, bytes] of [
      [digest, BYTES],
      [large, LARGE],
    ] as const) {
      assert.equal((await world.push("PUT", ingestPath.blob(each), bytes)).status, 201);
    }
  });
  beforeEach(async () => {
    await world.origin.start();
    world.origin.answering = () => undefined;
  });
  after(() => world.close());

  test("is one R2 get, then the location's cache for a small blob", async () => {
    const first = await world.pull(blobPath(digest));
    assert.equal(cacheStatus(first), "nixport; hit; detail=r2");
    assert.deepEqual(operationsOf(first), { "r2.get": 1 });
    assert.deepEqual(await first.bytes(), BYTES);
    const second = await world.pull(blobPath(digest));
    assert.equal(cacheStatus(second), "nixport; hit; detail=cache");
    assert.deepEqual(operationsOf(second), {});
    assert.deepEqual(await second.bytes(), BYTES);
    assert.deepEqual(blobHeaders(second), blobHeaders(first));
  });

  test("is one R2 get every time for a large blob", async () => {
    for (const _ of [1, 2]) {
      const response = await world.pull(blobPath(large));
      assert.deepEqual(operationsOf(response), { "r2.get": 1 });
      assert.deepEqual(await response.bytes(), LARGE);
    }
  });

  test("says what it is and that it never changes", async () => {
    const { headers } = await world.pull(blobPath(large), { method: "HEAD" });
    assert.equal(headers.get("Content-Type"), "application/octet-stream");
    assert.equal(headers.get("Content-Length"), String(LARGE.length));
    assert.equal(headers.get("Accept-Ranges"), "bytes");
    assert.equal(headers.get("Docker-Content-Digest"), large);
    assert.equal(headers.get("Content-Encoding"), null);
    assert.match(headers.get("Cache-Control") ?? "", /immutable, no-transform/);
  });

  test("is 404 where neither R2 nor the origin has it", async () => {
    world.origin.answering = () => registryError(404, "BLOB_UNKNOWN", "no such blob");
    const response = await world.pull(blobPath(digestOfText("absent")));
    assert.equal(response.status, 404);
    assert.equal((await errorOf(response)).code, "BLOB_UNKNOWN");
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
    ["several ranges", () => ({ Range: "bytes=0-1,5-6" }), 200, null, [0, 1000]],
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
        const response = await world.pull(blobPath(own), { headers: headersOf(own) });
        const bytes = await response.bytes();
        assert.equal(response.status, status);
        assert.equal(response.headers.get("Content-Range"), contentRange);
        assert.deepEqual(bytes, part === null ? new Uint8Array() : blob.slice(...part));
        const expected = where === "R2" ? "nixport; hit; detail=r2" : "nixport; fwd=miss";
        assert.equal(cacheStatus(response), expected);
        const operations = operationsOf(response) as Record<string, number>;
        // Only a range that cannot be satisfied takes a second one, for the size 416 must tell.
        const count = (operations["r2.get"] ?? 0) + (operations["r2.head"] ?? 0);
        assert.equal(count, where === "R2" && status === 416 ? 2 : 1);
      });
    }
  }

  test("is the origin's part where R2 gives another than it was asked for", async () => {
    world.origin.answering = ({ headers }) => rangeAnswer(BYTES, headers.range);
    const response = await world.pull(blobPath(digest), {
      ...{ headers: { Range: "bytes=10-19" }, controls: { wrongRange: true } },
    });
    assert.equal(cacheStatus(response), "nixport; fwd=miss");
    assert.equal(response.headers.get("Content-Range"), "bytes 10-19/1000");
    assert.deepEqual(await response.bytes(), BYTES.slice(10, 20));
  });

  test("HEAD ignores a range, moves no body and asks the origin by HEAD", async () => {
    world.origin.asked.length = 0;
    const absent = digestOfText("at the origin only");
    world.origin.answering = () => ({ status: 200, headers: { "Content-Length": "5000000" } });
    const response = await world.pull(blobPath(absent), {
      method: "HEAD",
      headers: { Range: "bytes=0-1" },
    });
    assert.equal(response.status, 200);
    assert.equal(response.headers.get("Content-Length"), "5000000");
    assert.deepEqual(
      world.origin.asked.map(({ method }) => method),
      ["HEAD"],
    );
    assert.equal(world.origin.asked[0]?.headers.range, undefined);
  });

  test("HEAD of a blob that nobody has is the 404 that GET is", async () => {
    world.origin.answering = () => registryError(404, "BLOB_UNKNOWN", "no such blob");
    const response = await world.pull(blobPath(digestOfText("nowhere")), { method: "HEAD" });
    assert.equal(response.status, 404);
    assert.equal(await response.text(), "");
  });

  test("streams what only the origin has, and writes nothing", async () => {
    const bytes = LARGE.map((byte) => byte ^ 1);
    const own = await digestOf(bytes);
    world.origin.answering = () => ({ status: 200, body: bytes });
    const response = await world.pull(blobPath(own));
    assert.equal(response.headers.get("Content-Length"), String(bytes.length));
    assert.deepEqual(await response.bytes(), bytes);
    assert.deepEqual(operationsOf(response), { "r2.get": 1 });
  });

  const lies: readonly (readonly [title: string, told: Told])[] = [
    ["other bytes of the same length", { status: 200, body: LARGE.map((byte) => byte ^ 2) }],
    ["bytes that end early", { status: 200, body: LARGE.slice(1) }],
    ["one byte only", { status: 200, body: "x" }],
    ["nothing", { status: 200, body: "" }],
  ];
  for (const [title, told] of lies) {
    test(`never completes a blob for which the origin gives ${title}`, async () => {
      world.origin.answering = () => told;
      const absent = digestOfText(`lie: ${title}`);
      await assert.rejects(async () => {
        const response = await world.pull(blobPath(absent));
        assert.equal(response.status, 200);
        await response.bytes();
      });
      const bucket = await world.edge.miniflare.getR2Bucket("R2");
      assert.equal(await bucket.head(`blobs/${absent.slice(7, 9)}/${absent.slice(7)}`), null);
    });
  }

  for (const [title, told] of [
    ["another range", { status: 206, headers: { "Content-Range": "bytes 1-2/10" }, body: "ab" }],
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
  ] as const) {
    test(`answers 503 where the origin gives ${title}`, async () => {
      world.origin.answering = () => told;
      const response = await world.pull(blobPath(digestOfText(title)), {
        headers: { Range: "bytes=0-1" },
      });
      assert.equal(response.status, 503);
      assert.ok(response.headers.has("Retry-After"));
      assert.equal((await errorOf(response)).code, "UNAVAILABLE");
    });
  }
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
  const volatile = ["date", "server-timing", "cache-status", "test-operations"];
  return Object.fromEntries([...headers].filter(([name]) => !volatile.includes(name)));
}
