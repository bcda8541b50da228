// What the client makes of each way in which an edge can answer, and how it sends large blobs.

import { readdir, readlink } from "node:fs/promises";
import { setImmediate } from "node:timers/promises";
import { assert, describe, expect, onTestFinished, test, vi } from "vitest";
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
import { type Ending, temporaryDirectory } from "../fixture.ts";
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
async function blobOf(onEnd: Ending, sizeBytes: number): Promise<BlobToPush> {
  const store = await openFilesystemStore(await temporaryDirectory(onEnd));
  const bytes = new Uint8Array(patternOf(sizeBytes));
  const digest = await digestOf(bytes);
  const key = storageKey.layer(digest);
  await store.store(key, bytes);
  return { digest, sizeBytes, open: (range) => store.open(key, range) };
}

const kinds = (edge: SmallEdge) => edge.received.map(({ kind }) => kind);

describe("putBlob", limit, () => {
  test.for([0, 1, SINGLE_PUT_MAX_BYTES])(
    "sends %s bytes in one request that tells its length",
    async (sizeBytes) => {
      const edge = await startEdge(onTestFinished);
      const blob = await blobOf(onTestFinished, sizeBytes);
      expect(await clientOf(edge.url).putBlob(blob)).toStrictEqual({ kind: "accepted" });
      expect(kinds(edge)).toStrictEqual(["blob"]);
      const headers = edge.received[0]?.headers;
      expect(headers?.["content-length"]).toBe(String(sizeBytes));
      expect(headers?.["content-type"]).toBe("application/octet-stream");
      expect(edge.blobs.get(blob.digest)?.length).toBe(sizeBytes);
    },
  );

  const sizes: readonly [sizeBytes: number, parts: readonly number[]][] = [
    [SINGLE_PUT_MAX_BYTES + 1, [10, 10, 6]],
    [3 * PART_SIZE_BYTES, [10, 10, 10]],
    [3 * PART_SIZE_BYTES + 1, [10, 10, 10, 1]],
  ];
  test.for(sizes)(
    "sends %s bytes in parts that are equal but for the last",
    async ([sizeBytes, lengths]) => {
      const edge = await startEdge(onTestFinished);
      const blob = await blobOf(onTestFinished, sizeBytes);
      expect(await clientOf(edge.url).putBlob(blob)).toStrictEqual({ kind: "accepted" });
      expect(kinds(edge)).toStrictEqual(["uploads", ...lengths.map(() => "part"), "complete"]);
      const parts = edge.received.filter(({ kind }) => kind === "part");
      expect(parts.map(({ body }) => body.length)).toStrictEqual(lengths);
      for (const { headers, body } of parts) {
        expect(headers["content-length"]).toBe(String(body.length));
        expect(headers["transfer-encoding"]).toBeUndefined();
      }
      expect(edge.blobs.get(blob.digest)?.equals(patternOf(sizeBytes))).toBe(true);
      expect(JSON.parse(String(edge.received.at(-1)?.body))).toStrictEqual({
        parts: lengths.map((_, index) => ({ partNumber: index + 1, etag: `part ${index + 1}` })),
      });
    },
  );

  test("stops an upload at the part that fails", async () => {
    const edge = await startEdge(onTestFinished);
    let parts = 0;
    edge.before = ({ kind }) => {
      if (kind === "part" && ++parts === 2) throw new RegistryError("UNAVAILABLE", "full");
    };
    const result = await clientOf(edge.url).putBlob(await blobOf(onTestFinished, 40));
    expect(result).toStrictEqual({ kind: "unreachable", message: "503 full" });
    expect(kinds(edge)).toStrictEqual(["uploads", "part"]);
  });

  const junk: readonly [kind: string, message: RegExp][] = [
    ["uploads", /named no upload/],
    ["part", /named no etag/],
  ];
  test.for(junk)("refuses an answer to %s that it cannot read", async ([wanted, message]) => {
    for (const body of ["", "null", "{}", "<html>", '{"uploadId":1,"etag":2}']) {
      const edge = await startEdge(onTestFinished);
      edge.before = ({ kind }) => {
        if (kind === wanted) throw new Response(body, { status: 200 });
      };
      const result = await clientOf(edge.url).putBlob(await blobOf(onTestFinished, 40));
      assert(result.kind === "refused", body);
      expect(result.message).toMatch(message);
    }
  });

  test("refuses a part size that would never come to an end", async () => {
    for (const partSizeBytes of [0, -1]) {
      const edge = await startEdge(onTestFinished);
      edge.before = ({ kind }) => {
        if (kind === "uploads") throw Response.json({ uploadId: "x", partSizeBytes });
      };
      const result = await clientOf(edge.url).putBlob(await blobOf(onTestFinished, 40));
      expect(result.kind).toBe("refused");
    }
  });

  test("says that a blob is gone which it cannot open", async () => {
    const edge = await startEdge(onTestFinished);
    for (const sizeBytes of [1, 40]) {
      const blob = { digest: DIGEST, sizeBytes, open: async () => undefined };
      const result = await clientOf(edge.url).putBlob(blob);
      assert(result.kind === "refused");
      expect(result.message).toMatch(/gone/);
    }
  });

  test("waits for the edge to put parts together as long as for the whole", async (_t) => {
    const edge = await startEdge(onTestFinished);
    const blob = await blobOf(onTestFinished, 3_000_000);
    edge.before = ({ kind }) => {
      if (kind === "uploads") throw Response.json({ uploadId: "x", partSizeBytes: 1_000_000 });
    };
    const deadlinesMs: number[] = [];
    const timeout = vi.spyOn(AbortSignal, "timeout").mockImplementation((ms) => {
      deadlinesMs.push(ms);
      return new AbortController().signal;
    });
    onTestFinished(() => void timeout.mockRestore());
    expect(await clientOf(edge.url).putBlob(blob)).toStrictEqual({ kind: "accepted" });
    const [start = 0, , , , complete = 0] = deadlinesMs;
    expect(complete - start).toBe(2000);
  });

  test("keeps no file open while an edge is down", async () => {
    const edge = await startEdge(onTestFinished);
    // Larger than what is read ahead, so that the stream has not ended by itself.
    const blob = await blobOf(onTestFinished, 2 * 1024 * 1024);
    const client = clientOf(edge.url, { singlePutMaxBytes: blob.sizeBytes });
    await edge.stop();
    for (let times = 0; times < 60; times++) {
      expect((await client.putBlob(blob)).kind).toBe("unreachable");
    }
    // Files close behind a cancelled stream; a forgotten one would stay until memory runs short.
    const file = `layers/${digestHex(blob.digest)}`;
    for (let turns = 0; turns < 50 && (await openFiles(file)) > 0; turns++) await setImmediate();
    expect(await openFiles(file)).toBe(0);
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
    test(`${status} means ${expected.kind}`, async () => {
      const edge = await startEdge(onTestFinished);
      edge.before = () => {
        throw answer();
      };
      const manifest = await clientOf(edge.url).putManifest(DIGEST, "text/plain", patternOf(4));
      expect(manifest).toStrictEqual(expected);
      expect(await clientOf(edge.url).postRecords({ records: [] })).toStrictEqual(expected);
    });
  }

  test("that does not come means unreachable", async () => {
    const edge = await startEdge(onTestFinished);
    await edge.stop();
    const result = await clientOf(edge.url).postRecords({ records: [] });
    assert(result.kind === "unreachable");
    expect(result.message).toMatch(/ECONNREFUSED/);
  });

  test("is not waited for once the origin goes down", async () => {
    const edge = await startEdge(onTestFinished);
    const ending = new AbortController();
    const gate = Promise.withResolvers<void>();
    onTestFinished(() => gate.resolve());
    edge.before = () => {
      ending.abort(new Error("going down"));
      return gate.promise;
    };
    const result = await clientOf(edge.url, { signal: ending.signal }).postRecords({ records: [] });
    expect(result).toStrictEqual({ kind: "unreachable", message: "going down" });
  });

  test("is asked for where the edge's URL ends with a slash", async () => {
    const edge = await startEdge(onTestFinished);
    const result = await clientOf(`${edge.url}/`).postRecords({ records: [] });
    expect(result).toStrictEqual({ kind: "accepted" });
  });
});
