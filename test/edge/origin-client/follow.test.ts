// A blob that the origin sends the edge for to another place: a second server stands for the bucket.

import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { FOLLOW, NEVER, REDIRECTS_HEADER } from "../../../registry/between/redirects.ts";
import { type Digest, digestOf } from "../../../registry/naming/digest.ts";
import { type Answering, type FakeOrigin, startFakeOrigin, type Told } from "../fake-origin.ts";
import { blobPath, startWorld, type World } from "../world.ts";

const BYTES = Uint8Array.from({ length: 1000 }, (_, index) => index % 251);
/** Beyond what requests share. */
const LARGE = Uint8Array.from({ length: 5_000_000 }, (_, index) => (index * 7) % 253);
const EMPTY = new Uint8Array();

function rangeOf(bytes: Uint8Array, header: string | undefined): Told {
  const [, first = "", last = ""] = /^bytes=(\d+)-(\d*)$/.exec(header ?? "") ?? [];
  if (first === "") return { status: 200, body: bytes };
  const end = last === "" ? bytes.length : Number(last) + 1;
  const range = `bytes ${first}-${end - 1}/${bytes.length}`;
  const body = bytes.subarray(Number(first), end);
  return { status: 206, headers: { "Content-Range": range }, body };
}

describe("a blob that the origin keeps elsewhere", () => {
  let world: World;
  let streaming: World;
  let bucket: FakeOrigin;
  let blobs: ReadonlyMap<Digest, Uint8Array>;

  beforeAll(async () => {
    world = await startWorld();
    streaming = await startWorld({ redirect: "never" });
    bucket = await startFakeOrigin();
    const entries = [BYTES, LARGE, EMPTY].map(
      async (bytes) => [await digestOf(bytes), bytes] as const,
    );
    blobs = new Map(await Promise.all(entries));
  });
  beforeEach(() => {
    for (const each of [world, streaming]) {
      each.origin.asked.length = 0;
      each.origin.answering = origin(bucket.url);
    }
    bucket.asked.length = 0;
    world.log.length = 0;
    bucket.answering = ({ path, headers }) => rangeOf(bytesAt(path), headers.range);
  });
  afterAll(() => Promise.all([world.close(), streaming.close(), bucket.stop()]));

  const hexIn = (path: string) => /[0-9a-f]{64}/.exec(path)?.[0] ?? "";
  const bytesAt = (path: string) => blobs.get(`sha256:${hexIn(path)}` as Digest) ?? EMPTY;

  /** Sends on who follows, and streams to all others, as the origin does. */
  const origin =
    (to: string, status = 307): Answering =>
    ({ method, path, headers }) => {
      if (headers[REDIRECTS_HEADER.toLowerCase()] === FOLLOW) {
        return { status, headers: { Location: `${to}/layers/${hexIn(path)}?signed=1` } };
      }
      return rangeOf(bytesAt(path), method === "HEAD" ? undefined : headers.range);
    };

  const said = ({ asked }: FakeOrigin) =>
    asked.map(({ method, headers }) => `${method} ${headers[REDIRECTS_HEADER.toLowerCase()]}`);

  test("is had there, whole and verified, with nothing of the edge's own", async () => {
    for (const [digest, bytes] of blobs) {
      const response = await world.pull(blobPath(digest));
      expect(response.status).toBe(200);
      expect(response.headers.get("Docker-Content-Digest")).toBe(digest);
      expect(response.headers.get("Content-Length")).toBe(String(bytes.length));
      expect(await response.bytes()).toStrictEqual(bytes);
    }
    expect(new Set(said(world.origin))).toStrictEqual(new Set([`GET ${FOLLOW}`]));
    expect(bucket.asked.map(({ path }) => path)).toStrictEqual(
      [...blobs.keys()].map((digest) => `/layers/${digest.slice(7)}?signed=1`),
    );
    for (const { headers } of bucket.asked) {
      expect(headers.authorization).toBeUndefined();
      expect(Object.keys(headers).filter((name) => name.startsWith("nixport"))).toStrictEqual([]);
    }
  });

  test("is had there by the range that is asked for, with either status", async () => {
    const digest = await digestOf(BYTES);
    for (const status of [307, 303]) {
      world.origin.answering = origin(bucket.url, status);
      const response = await world.pull(blobPath(digest), { headers: { Range: "bytes=10-19" } });
      expect(response.status).toBe(206);
      expect(response.headers.get("Content-Range")).toBe("bytes 10-19/1000");
      expect(await response.bytes()).toStrictEqual(BYTES.subarray(10, 20));
    }
    expect(bucket.asked.map(({ headers }) => headers.range)).toStrictEqual([
      "bytes=10-19",
      "bytes=10-19",
    ]);
  });

  test("is asked of the origin alone by HEAD", async () => {
    const response = await world.pull(blobPath(await digestOf(BYTES)), { method: "HEAD" });
    expect(response.status).toBe(200);
    expect(said(world.origin)).toStrictEqual([`HEAD ${NEVER}`]);
    expect(bucket.asked).toStrictEqual([]);
  });

  test("is streamed by the origin where the edge is told to follow nowhere", async () => {
    for (const [digest, bytes] of blobs) {
      const response = await streaming.pull(blobPath(digest));
      expect(await response.bytes()).toStrictEqual(bytes);
    }
    expect(new Set(said(streaming.origin))).toStrictEqual(new Set([`GET ${NEVER}`]));
    expect(bucket.asked).toStrictEqual([]);
  });

  const lost: readonly (readonly [what: string, answering: Answering])[] = [
    ["refuses it", () => ({ status: 403 })],
    ["has lost it", () => ({ status: 404 })],
    ["sends it on", () => ({ status: 307, headers: { Location: "/elsewhere" } })],
    ["codes it", () => ({ status: 200, headers: { "Content-Encoding": "gzip" }, body: "x" })],
  ];
  test.for(lost)("is streamed by the origin where the bucket %s", async ([, answering]) => {
    bucket.answering = answering;
    const response = await world.pull(blobPath(await digestOf(LARGE)));
    expect(response.status).toBe(200);
    expect(await response.bytes()).toStrictEqual(LARGE);
    expect(said(world.origin)).toStrictEqual([`GET ${FOLLOW}`, `GET ${NEVER}`]);
    expect(world.log.join()).toMatch(/no blob where the origin sent the edge/);
  });

  test.for(["http://127.0.0.1:9", "ftp://127.0.0.1", "http://a:b@127.0.0.1", "nowhere"])(
    "is streamed by the origin where that names %s",
    async (place) => {
      world.origin.answering = origin(place);
      const response = await world.pull(blobPath(await digestOf(BYTES)));
      expect(await response.bytes()).toStrictEqual(BYTES);
      expect(said(world.origin)).toStrictEqual([`GET ${FOLLOW}`, `GET ${NEVER}`]);
    },
  );

  test("never arrives complete where the bucket gives other bytes", async () => {
    bucket.answering = () => ({ status: 200, body: LARGE.toReversed() });
    const response = await world.pull(blobPath(await digestOf(LARGE)));
    await expect(response.bytes()).rejects.toThrow();
  });
});
