// An edge whose bucket has an address of its own: clients are sent there for blobs, and follow.

import { createHash } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { gzipSync } from "node:zlib";
import { pack } from "tar-stream";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ingestPath } from "../../registry/http/route.ts";
import { type Digest, digestOf } from "../../registry/naming/digest.ts";
import { blobPath, cacheStatus, operationsOf, startWorld, type World } from "../edge/world.ts";
import { endOfFile, temporaryDirectory } from "../origin/fixture.ts";
import { digestOfText } from "../registry/fixture.ts";
import { skipWhere } from "../skip-where.ts";
import { missingClient, podmanOptions, podmanReset } from "./clients.ts";
import { run } from "./daemon.ts";
import { type Dockerd, startDockerd } from "./dockerd.ts";

const atEnd = endOfFile();
const TEXT = "found where the edge sent its client\n";

interface Blob {
  readonly digest: Digest;
  readonly bytes: Uint8Array;
}

/** What the bucket's address was asked for. */
const asked: string[] = [];
let world: World;
let blobs: readonly Blob[];
let layer: Blob;
let image: string;

beforeAll(async () => {
  const bucket = createServer(async (request, response) => {
    asked.push(`${request.method} ${request.url} ${request.headers.range ?? ""}`.trim());
    const stored = await world.edge.miniflare.getR2Bucket("R2");
    const object = await stored.get(request.url?.slice(1) ?? "");
    if (object === null) return response.writeHead(404).end();
    const bytes = new Uint8Array(await object.arrayBuffer());
    response.writeHead(200, { "Content-Length": bytes.length });
    return response.end(request.method === "HEAD" ? undefined : bytes);
  }).listen(0, "127.0.0.1");
  await new Promise((resolve) => bucket.once("listening", resolve));
  atEnd(() => void bucket.close());
  const { port } = bucket.address() as AddressInfo;
  world = await startWorld({ blobsUrl: `http://127.0.0.1:${port}/` });
  await putImage();
});
afterAll(() => world.close());

async function put(path: (digest: Digest) => string, bytes: Uint8Array): Promise<Blob> {
  const digest = await digestOf(bytes);
  expect((await world.push("PUT", path(digest), bytes)).status).toBe(201);
  return { digest, bytes };
}

/** Of one layer with one file, in a form that every client unpacks. */
async function putImage(): Promise<void> {
  const archive = pack();
  archive.entry({ name: "found", mtime: new Date(0) }, TEXT);
  archive.finalize();
  const tar = await buffer(archive);
  layer = await put(ingestPath.blob, new Uint8Array(gzipSync(tar)));
  const diffId = `sha256:${createHash("sha256").update(tar).digest("hex")}`;
  const config = await putJson(ingestPath.blob, {
    ...{ architecture: "amd64", os: "linux", config: { Cmd: ["/found"] } },
    rootfs: { type: "layers", diff_ids: [diffId] },
  });
  const docker = "application/vnd.docker";
  const manifest = await putJson(ingestPath.manifest, {
    schemaVersion: 2,
    mediaType: `${docker}.distribution.manifest.v2+json`,
    config: described(`${docker}.container.image.v1+json`, config),
    layers: [described(`${docker}.image.rootfs.diff.tar.gzip`, layer)],
  });
  blobs = [layer, config];
  image = `any@${manifest.digest}`;
}

function putJson(path: (digest: Digest) => string, value: unknown): Promise<Blob> {
  return put(path, new TextEncoder().encode(JSON.stringify(value)));
}

function described(mediaType: string, { digest, bytes }: Blob) {
  return { mediaType, digest, size: bytes.length };
}

const reference = () => `${new URL(world.edge.url).host}/${image}`;
const keyOf = (digest: Digest) => `/blobs/${digest.slice(7, 9)}/${digest.slice(7)}`;

describe("a blob in a bucket with an address of its own", () => {
  test.for([
    ["GET", {}],
    ["HEAD", {}],
    ["GET", { Range: "bytes=1-5" }],
  ] as const)("has %s %j sent there, after one look into R2", async ([method, headers]) => {
    const response = await world.pull(blobPath(layer.digest), { method, headers });
    expect(response.status).toBe(307);
    const { pathname } = new URL(response.headers.get("Location") ?? "");
    expect(pathname).toBe(keyOf(layer.digest));
    expect(response.headers.get("Cache-Control")).toBe("no-store");
    expect(response.headers.get("Docker-Content-Digest")).toBe(layer.digest);
    expect(cacheStatus(response)).toBe("nixport; hit; detail=r2");
    expect(operationsOf(response)).toStrictEqual({ "r2.head": 1 });
    expect(await response.text()).toBe("");
  });

  test.for([
    [304, (own: Digest) => ({ "If-None-Match": `"${own}"` })],
    [412, () => ({ "If-Match": '"another"' })],
    [416, () => ({ Range: "bytes=1000000-" })],
    [206, () => ({ Range: "bytes=0-1,5-6" })],
  ] as const)("is answered %i by the edge itself", async ([status, headersOf]) => {
    const headers = headersOf(layer.digest);
    const response = await world.pull(blobPath(layer.digest), { headers });
    await response.bytes();
    expect([response.status, response.headers.has("Location")]).toStrictEqual([status, false]);
  });

  test("that it has not, or not as its digest says, is never sent there", async () => {
    const absent = await world.pull(blobPath(digestOfText("nowhere")));
    expect(absent.status).toBe(404);
    const own = digestOfText("put by others");
    const bucket = await world.edge.miniflare.getR2Bucket("R2");
    await bucket.put(keyOf(own).slice(1), "put by others");
    const others = await world.pull(blobPath(own));
    expect([others.status, await others.text()]).toStrictEqual([200, "put by others"]);
  });
});

describe("clients follow to the bucket's address", { timeout: 120_000 }, () => {
  const expectFollowed = () => {
    for (const { digest } of blobs) expect(asked).toContain(`GET ${keyOf(digest)}`);
    asked.length = 0;
  };

  test("skopeo", skipWhere(missingClient("skopeo")), async () => {
    const folder = await temporaryDirectory(atEnd);
    await run("skopeo", [
      "copy",
      "--src-tls-verify=false",
      `docker://${reference()}`,
      `dir:${folder}`,
    ]);
    expectFollowed();
  });

  test("podman", skipWhere(missingClient("podman")), async () => {
    const storage = await temporaryDirectory(atEnd);
    atEnd(() => podmanReset(storage));
    const options = [...podmanOptions(storage), "pull", "--quiet", "--tls-verify=false"];
    await run("podman", [...options, reference()]);
    expectFollowed();
  });

  test("docker", skipWhere(missingClient("dockerd")), async () => {
    const folder = await temporaryDirectory(atEnd);
    const docker: Dockerd = await startDockerd(folder);
    try {
      const listing = await docker.unpack(reference());
      expect([...listing.keys()].some((path) => path.endsWith("found"))).toBe(true);
    } finally {
      await docker.stop();
    }
    expectFollowed();
  });
});
