// What the client makes of each way in which an edge can answer, and how it sends large blobs.

import assert from "node:assert/strict";
import { readdir, readlink } from "node:fs/promises";
import { describe, type TestContext, test } from "node:test";
import { setImmediate } from "node:timers/promises";
import {
  type BlobToPush,
  createEdgeClient,
  type EdgeClient,
  type EdgeClientOptions,
  type PushResult,
} from "../../../origin/backfill/edge-client.ts";
import { openFilesystemStore } from "../../../origin/storage/filesystem.ts";
import { storageKey } from "../../../origin/storage/keys.ts";
import { RegistryError } from "../../../registry/http/error.ts";
import { digestHex, digestOf } from "../../../registry/naming/digest.ts";
import { patternOf } from "../../contract/blob-store.ts";
import { digestOfText } from "../../registry/fixture.ts";
import { temporaryDirectory } from "../fixture.ts";
import { PART_SIZE_BYTES, type SmallEdge, startEdge } from "./edge.ts";
import { NOW_MS, SECRET_KEYS } from "./fixture.ts";

const limit = { timeout: 20_000 };
const SINGLE_PUT_MAX_BYTES = 25;
const DIGEST = digestOfText("x");

function clientOf(url: string, options: Partial<EdgeClientOptions> = {}): EdgeClient {
  return createEdgeClient({
    ...{ url, secretKeys: SECRET_KEYS, now: () => NOW_MS },
    signal: new AbortController().signal,
    singlePutMaxBytes: SINGLE_PUT_MAX_BYTES,
    ...options,
  });
}

/** A blob in a store on disk, as it is pushed. */
async function blobOf(t: TestContext, sizeBytes: number): Promise<BlobToPush> {
  const store = await openFilesystemStore(await temporaryDirectory(t));
  const bytes = new Uint8Array(patternOf(sizeBytes));
  const digest = await digestOf(bytes);
  const key = storageKey.layer(digest);
  await store.store(key, bytes);
  return { digest, sizeBytes, open: (range) => store.open(key, range) };
}

const kinds = (edge: SmallEdge) => edge.received.map(({ kind }) => kind);

describe("putBlob", limit, () => {
  for (const sizeBytes of [0, 1, SINGLE_PUT_MAX_BYTES]) {
    test(`sends ${sizeBytes} bytes in one request that tells its length`, async (t) => {
      const edge = await startEdge(t);
      const blob = await blobOf(t, sizeBytes);
      assert.deepEqual(await clientOf(edge.url).putBlob(blob), { kind: "accepted" });
      assert.deepEqual(kinds(edge), ["blob"]);
      const headers = edge.received[0]?.headers;
      assert.equal(headers?.["content-length"], String(sizeBytes));
      assert.equal(headers?.["content-type"], "application/octet-stream");
      assert.equal(edge.blobs.get(blob.digest)?.length, sizeBytes);
    });
  }

  const sizes: readonly [sizeBytes: number, parts: readonly number[]][] = [
    [SINGLE_PUT_MAX_BYTES + 1, [10, 10, 6]],
    [3 * PART_SIZE_BYTES, [10, 10, 10]],
    [3 * PART_SIZE_BYTES + 1, [10, 10, 10, 1]],
  ];
  for (const [sizeBytes, lengths] of sizes) {
    test(`sends ${sizeBytes} bytes in parts that are equal but for the last`, async (t) => {
      const edge = await startEdge(t);
      const blob = await blobOf(t, sizeBytes);
      assert.deepEqual(await clientOf(edge.url).putBlob(blob), { kind: "accepted" });
      assert.deepEqual(kinds(edge), ["uploads", ...lengths.map(() => "part"), "complete"]);
      const parts = edge.received.filter(({ kind }) => kind === "part");
      assert.deepEqual(
        parts.map(({ body }) => body.length),
        lengths,
      );
      for (const { headers, body } of parts) {
        assert.equal(headers["content-length"], String(body.length));
        assert.equal(headers["transfer-encoding"], undefined);
      }
      assert(edge.blobs.get(blob.digest)?.equals(patternOf(sizeBytes)));
      assert.deepEqual(JSON.parse(String(edge.received.at(-1)?.body)), {
        parts: lengths.map((_, index) => ({ partNumber: index + 1, etag: `part ${index + 1}` })),
      });
    });
  }

  test("stops an upload at the part that fails", async (t) => {
    const edge = await startEdge(t);
    let parts = 0;
    edge.before = ({ kind }) => {
      if (kind === "part" && ++parts === 2) throw new RegistryError("UNAVAILABLE", "full");
    };
    const result = await clientOf(edge.url).putBlob(await blobOf(t, 40));
    assert.deepEqual(result, { kind: "unreachable", message: "503 full" });
    assert.deepEqual(kinds(edge), ["uploads", "part"]);
  });

  const junk: readonly [kind: string, message: RegExp][] = [
    ["uploads", /named no upload/],
    ["part", /named no etag/],
  ];
  for (const [wanted, message] of junk) {
    test(`refuses an answer to ${wanted} that it cannot read`, async (t) => {
      for (const body of ["", "null", "{}", "<html>", '{"uploadId":1,"etag":2}']) {
        const edge = await startEdge(t);
        edge.before = ({ kind }) => {
          if (kind === wanted) throw new Response(body, { status: 200 });
        };
        const result = await clientOf(edge.url).putBlob(await blobOf(t, 40));
        assert(result.kind === "refused", body);
        assert.match(result.message, message);
      }
    });
  }

  test("refuses a part size that would never come to an end", async (t) => {
    for (const partSizeBytes of [0, -1]) {
      const edge = await startEdge(t);
      edge.before = ({ kind }) => {
        if (kind === "uploads") throw Response.json({ uploadId: "x", partSizeBytes });
      };
      const result = await clientOf(edge.url).putBlob(await blobOf(t, 40));
      assert.equal(result.kind, "refused");
    }
  });

  test("says that a blob is gone which it cannot open", async (t) => {
    const edge = await startEdge(t);
    for (const sizeBytes of [1, 40]) {
      const blob = { digest: DIGEST, sizeBytes, open: async () => undefined };
      const result = await clientOf(edge.url).putBlob(blob);
      assert(result.kind === "refused");
      assert.match(result.message, /gone/);
    }
  });

  test("waits for the edge to put parts together as long as for the whole", async (t) => {
    const edge = await startEdge(t);
    const blob = await blobOf(t, 3_000_000);
    edge.before = ({ kind }) => {
      if (kind === "uploads") throw Response.json({ uploadId: "x", partSizeBytes: 1_000_000 });
    };
    const deadlinesMs: number[] = [];
    t.mock.method(AbortSignal, "timeout", (ms: number) => {
      deadlinesMs.push(ms);
      return new AbortController().signal;
    });
    assert.deepEqual(await clientOf(edge.url).putBlob(blob), { kind: "accepted" });
    const [start = 0, , , , complete = 0] = deadlinesMs;
    assert.equal(complete - start, 2000);
  });

  test("keeps no file open while an edge is down", async (t) => {
    const edge = await startEdge(t);
    // Larger than what is read ahead, so that the stream has not ended by itself.
    const blob = await blobOf(t, 2 * 1024 * 1024);
    const client = clientOf(edge.url, { singlePutMaxBytes: blob.sizeBytes });
    await edge.stop();
    for (let times = 0; times < 60; times++) {
      assert.equal((await client.putBlob(blob)).kind, "unreachable");
    }
    // Files close behind a cancelled stream; a forgotten one would stay until memory runs short.
    const file = `layers/${digestHex(blob.digest)}`;
    for (let turns = 0; turns < 50 && (await openFiles(file)) > 0; turns++) await setImmediate();
    assert.equal(await openFiles(file), 0);
  });
});

/** How many descriptors of this process are of files whose path ends so. */
async function openFiles(end: string): Promise<number> {
  const descriptors = await readdir("/proc/self/fd");
  const paths = descriptors.map((each) => readlink(`/proc/self/fd/${each}`).catch(() => ""));
  return (await Promise.all(paths)).filter((path) => path.endsWith(end)).length;
}

describe("an answer of the edge", limit, () => {
  const page = "<html>Bad gateway</html>";
  const rows: readonly [answer: () => Response | RegistryError, result: PushResult][] = [
    [() => new Response(null, { status: 204 }), { kind: "accepted" }],
    [() => new Response("ok", { status: 201 }), { kind: "accepted" }],
    [() => new RegistryError("UNAUTHORIZED", "who"), { kind: "refused", message: "401 who" }],
    [() => new RegistryError("DIGEST_INVALID", "no"), { kind: "refused", message: "400 no" }],
    [() => new RegistryError("NAME_UNKNOWN", "no"), { kind: "refused", message: "404 no" }],
    [
      () => new RegistryError("TOOMANYREQUESTS", "slow"),
      { kind: "unreachable", message: "429 slow" },
    ],
    [() => new RegistryError("UNKNOWN", "bug"), { kind: "unreachable", message: "500 bug" }],
    [() => new RegistryError("UNAVAILABLE", "off"), { kind: "unreachable", message: "503 off" }],
    [() => new Response("late", { status: 408 }), { kind: "unreachable", message: "408 late" }],
    [() => new Response(page, { status: 502 }), { kind: "unreachable", message: `502 ${page}` }],
    [() => new Response(page, { status: 413 }), { kind: "refused", message: `413 ${page}` }],
    [
      () => new Response("x".repeat(1_000_000), { status: 201 }),
      { kind: "unreachable", message: "the answer is too long" },
    ],
    [
      () => new Response("", { status: 307, headers: { Location: "http://127.0.0.1:9/" } }),
      { kind: "refused", message: "307 " },
    ],
    [
      () => new RegistryError("MANIFEST_BLOB_UNKNOWN", "no", { detail: [DIGEST, "junk", 1, null] }),
      { kind: "blobs-missing", digests: [DIGEST] },
    ],
    [
      () => new RegistryError("MANIFEST_BLOB_UNKNOWN", "no"),
      { kind: "blobs-missing", digests: [] },
    ],
  ];
  for (const [answer, expected] of rows) {
    const shown = answer();
    const status = shown instanceof Response ? shown.status : `${shown.status} ${shown.code}`;
    test(`${status} means ${expected.kind}`, async (t) => {
      const edge = await startEdge(t);
      edge.before = () => {
        throw answer();
      };
      const manifest = await clientOf(edge.url).putManifest(DIGEST, "text/plain", patternOf(4));
      assert.deepEqual(manifest, expected);
      assert.deepEqual(await clientOf(edge.url).postRecords({ records: [] }), expected);
    });
  }

  test("that does not come means unreachable", async (t) => {
    const edge = await startEdge(t);
    await edge.stop();
    const result = await clientOf(edge.url).postRecords({ records: [] });
    assert(result.kind === "unreachable");
    assert.match(result.message, /ECONNREFUSED/);
  });

  test("is not waited for once the origin goes down", async (t) => {
    const edge = await startEdge(t);
    const ending = new AbortController();
    const gate = Promise.withResolvers<void>();
    t.after(() => gate.resolve());
    edge.before = () => {
      ending.abort(new Error("going down"));
      return gate.promise;
    };
    const result = await clientOf(edge.url, { signal: ending.signal }).postRecords({ records: [] });
    assert.deepEqual(result, { kind: "unreachable", message: "going down" });
  });

  test("is asked for where the edge's URL ends with a slash", async (t) => {
    const edge = await startEdge(t);
    const result = await clientOf(`${edge.url}/`).postRecords({ records: [] });
    assert.deepEqual(result, { kind: "accepted" });
  });
});
