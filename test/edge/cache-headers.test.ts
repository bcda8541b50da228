// What a shared cache before the edge may keep: what a digest names and was compared with it, for ever, and
// nothing else at all. An answer that said nothing would be kept for as long as the cache likes.

import { afterAll, assert, beforeAll, describe, expect, test } from "vitest";
import { ingestPath } from "../../registry/http/route.ts";
import { digestOf } from "../../registry/naming/digest.ts";
import { digestOfText, pinOf } from "../registry/fixture.ts";
import { registryError } from "./fake-origin.ts";
import { imageOf, stockOf } from "./stock.ts";
import { blobPath, startWorld, type World } from "./world.ts";

const FOR_EVER = "public, max-age=31536000, immutable, no-transform";
const COMMIT = "a".repeat(40);
const BYTES = new TextEncoder().encode("a blob of some bytes");
const BLOB = await digestOf(BYTES);
const NOWHERE = digestOfText("nowhere");

let world: World;
let manifest: string;
beforeAll(async () => {
  world = await startWorld();
  const stock = await stockOf(["git"]);
  await world.backfill(stock, { tag: "latest", pin: pinOf(COMMIT), repositories: ["git"] });
  manifest = (await imageOf(stock, "git")).manifest.digest;
  expect((await world.push("PUT", ingestPath.blob(BLOB), BYTES)).status).toBe(201);
  world.origin.answering = ({ path }) =>
    registryError(404, path.includes("/blobs/") ? "BLOB_UNKNOWN" : "MANIFEST_UNKNOWN", "none");
});
afterAll(() => world.close());

interface Row {
  /** `@manifest`, `@blob` and `@nowhere` stand for digests. */
  readonly path: string;
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly method?: string;
}

const BY_DIGEST = "/v2/git/manifests/@manifest";
const BY_TAG = "/v2/git/manifests/latest";
const A_BLOB = "/v2/git/blobs/@blob";

async function answered({ path, method = "GET", headers = {} }: Row): Promise<Response> {
  const digests = { "@manifest": manifest, "@blob": BLOB, "@nowhere": NOWHERE };
  const filled = Object.entries(digests).reduce((text, [name, of]) => text.replace(name, of), path);
  const response = await world.pull(filled, { method, headers });
  await response.bytes();
  return response;
}

const titleOf = ({ path, status, method = "GET", headers = {} }: Row) =>
  [status, "to", method, path, ...Object.entries(headers).flat()].join(" ");

describe("for ever are", () => {
  const rows: readonly Row[] = [
    { path: BY_DIGEST, status: 200 },
    { path: BY_DIGEST, status: 200, method: "HEAD" },
    { path: BY_DIGEST, status: 304, headers: { "If-None-Match": "*" } },
    { path: A_BLOB, status: 200 },
    { path: A_BLOB, status: 200, method: "HEAD" },
    { path: A_BLOB, status: 304, headers: { "If-None-Match": "*" } },
    { path: A_BLOB, status: 206, headers: { Range: "bytes=1-2" } },
    { path: A_BLOB, status: 206, headers: { Range: "bytes=1-2,5-6" } },
  ];
  for (const row of rows) {
    test(titleOf(row), async () => {
      const { status, headers } = await answered(row);
      expect(status).toBe(row.status);
      expect(headers.get("Cache-Control")).toBe(FOR_EVER);
      expect(headers.get("Vary")).toBeNull();
    });
  }
});

describe("never are", () => {
  const rows: readonly Row[] = [
    { path: BY_TAG, status: 200 },
    { path: BY_TAG, status: 200, method: "HEAD" },
    { path: BY_TAG, status: 304, headers: { "If-None-Match": "*" } },
    { path: BY_TAG, status: 412, headers: { "If-Match": '"another"' } },
    { path: BY_DIGEST, status: 412, headers: { "If-Match": '"another"' } },
    { path: A_BLOB, status: 412, headers: { "If-Match": '"another"' } },
    { path: A_BLOB, status: 416, headers: { Range: "bytes=1000-" } },
    { path: A_BLOB, status: 416, headers: { Range: "bytes=1000-,2000-" } },
    { path: "/v2/", status: 200 },
    { path: "/v2/", status: 200, method: "HEAD" },
    { path: "/v2/git/tags/list", status: 200 },
    { path: "/v2/git/referrers/@nowhere", status: 200 },
    { path: "/v2/git/blobs/@nowhere", status: 404 },
    { path: "/v2/git/blobs/@nowhere", status: 404, method: "HEAD" },
    { path: "/v2/git/manifests/@nowhere", status: 404 },
    { path: "/v2/git/manifests/nosuchtag", status: 404 },
    { path: "/v2/git/blobs/sha256:short", status: 400 },
    { path: "/v2/UPPER/manifests/latest", status: 400 },
    { path: A_BLOB, status: 405, method: "DELETE" },
    { path: "/v2/git/blobs/uploads/", status: 405, method: "POST" },
    { path: "/elsewhere", status: 404 },
    { path: "/ingest/records", status: 405 },
    { path: "/ingest/blobs/@nowhere", status: 401, method: "PUT" },
  ];
  for (const row of rows) {
    test(titleOf(row), async () => {
      const { status, headers } = await answered(row);
      expect(status).toBe(row.status);
      expect(headers.get("Cache-Control")?.split(", ")).toContain("no-store");
    });
  }

  test("what no origin can say", async () => {
    await world.origin.stop();
    for (const path of [blobPath(digestOfText("of a stopped origin")), "/v2/htop/tags/list"]) {
      const response = await world.pull(path);
      assert((await response.text()).includes("UNAVAILABLE"));
      expect(response.headers.get("Cache-Control")).toBe("no-store");
    }
    await world.origin.start();
  });

  test("a blob's size and parts of it, where only the origin has it", async () => {
    world.origin.answering = ({ method }) => ({
      ...(method === "HEAD"
        ? { status: 200, headers: { "Content-Length": "10" } }
        : { status: 206, headers: { "Content-Range": "bytes 1-2/10" }, body: "ab" }),
    });
    for (const asked of [{ method: "HEAD" }, { headers: { Range: "bytes=1-2" } }]) {
      const response = await world.pull(blobPath(NOWHERE), asked);
      await response.bytes();
      expect(response.headers.get("Cache-Control")).toBe("no-store, no-transform");
    }
  });
});
