// The edge is killed while a client gets a layer: the client asks its successor for the rest, as containerd,
// docker and podman do, and has the layer.

import { createHash } from "node:crypto";
import { request } from "node:http";
import { afterAll, assert, beforeAll, expect, test } from "vitest";
import { get, type PulledManifest, pullManifest } from "./clients.ts";
import { type Deployment, deploy, type Part } from "./deployment.ts";

/** What the sockets in between hold by themselves is far less than the layer. */
const READ_BYTES = 1024 * 1024;

let deployment: Deployment;
let parts: Readonly<Record<"edge" | "origin", Part>>;
let image: PulledManifest;

beforeAll(async () => {
  deployment = await deploy();
  parts = { origin: await deployment.startOrigin(), edge: await deployment.startEdge() };
  image = await pullManifest(deployment.edgeUrl, "git");
  await parts.origin.waitFor(({ msg }) => msg === "backfilled");
});
afterAll(() => deployment?.close());

test.for(["edge", "origin"] as const)(
  "a client has all of a layer whose %s is killed in mid-stream, by asking for the rest",
  async (killed) => {
    const { edgeUrl, originUrl, startEdge, startOrigin } = deployment;
    const [url, restart] =
      killed === "edge" ? ([edgeUrl, startEdge] as const) : ([originUrl, startOrigin] as const);
    const [largest] = image.layers.toSorted((a, b) => b.size - a.size);
    assert(largest);
    const path = `/v2/${image.name}/blobs/${largest.digest}`;

    const start = await readStart(url + path, () => parts[killed].stop("SIGKILL"));
    expect(start.length).toBeLessThan(largest.size);
    await restart();
    const rest = await get(url, path, { headers: { Range: `bytes=${start.length}-` } });
    expect(rest.status).toBe(206);
    const range = `bytes ${start.length}-${largest.size - 1}/${largest.size}`;
    expect(rest.headers.get("Content-Range")).toBe(range);
    const whole = createHash("sha256")
      .update(start)
      .update(await rest.bytes());
    expect(`sha256:${whole.digest("hex")}`).toBe(largest.digest);
  },
);

/** What came of a body until it broke off, after `onStarted` was called with some of it. */
async function readStart(url: string, onStarted: () => Promise<void>): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const pieces: Buffer[] = [];
  let bytes = 0;
  request(url, (response) => {
    response.on("data", (piece: Buffer) => {
      pieces.push(piece);
      bytes += piece.length;
      if (bytes < READ_BYTES || response.isPaused()) return;
      // No more is read until the other end is gone.
      response.pause();
      onStarted().then(() => response.resume(), reject);
    });
    response.once("end", () => reject(new Error("the whole body came")));
    response.once("error", () => resolve(Buffer.concat(pieces)));
  })
    .once("error", reject)
    .end();
  return await promise;
}
