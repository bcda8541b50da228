// What the simulated world is made of on this machine: an edge that has an image and one that knows
// nothing, in front of one origin, and what the rivals have of that image.

import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type RunningEdge, startEdge } from "../../../origin/command/workerd.ts";
import { digestOf } from "../../../registry/naming/digest.ts";
import { freePort } from "../../free-port.ts";
import { blobPath, pullBlob, pullManifest, type RunningOrigin, startOrigin } from "../origins.ts";
import { UNPACKED_IMAGE, type Workbench } from "../workbench.ts";
import { PULLING_CLIENTS, type PulledImage, pullAs } from "./clients.ts";
import { createLine } from "./line.ts";
import { type Content, edgeServer, type Served } from "./servers.ts";
import { simulate } from "./simulation.ts";
import { OPERATIONS_PATH, type Operations } from "./told.ts";

export const IMAGE = UNPACKED_IMAGE;
const SECRET = "a secret of the benchmark";
const BACKFILL_DEADLINE_MS = 120_000;
const ENTRY = fileURLToPath(new URL("./worker-entry.js", import.meta.url));
/** Between two pulls of which the second has an image kept. */
const LATER_MS = 120_000;
/** For all of the world's pulls: the image was kept before. */
export const AHEAD_MS = 2 * LATER_MS;

export interface WorldEdges {
  readonly origin: RunningOrigin;
  /** It has all that the origin has made for it. */
  readonly filled: RunningEdge;
  /** Its origin gives it nothing, and of pulls alone it keeps nothing. */
  readonly empty: RunningEdge;
  close(): Promise<void>;
}

export async function startEdges(bench: Workbench, name: string): Promise<WorldEdges> {
  const statePath = join(bench.scratch, name);
  const [edgePort, port] = [await freePort(), await freePort()];
  const edgeUrl = `http://127.0.0.1:${edgePort}`;
  const env = { ...bench.env, PORT: String(port), NIXPORT_SECRET: SECRET };
  const origin = await startOrigin({ ...env, NIXPORT_EDGE_URL: edgeUrl }, statePath);
  const open = (folder: string, at: number) =>
    startEdge({
      ...{ port: at, statePath: folder, originUrl: origin.url, secret: SECRET },
      // Two pulls of the simulated clock come at once, and would find each other's.
      ...{ pinFreshSeconds: 86_400, pointerMemorySeconds: 0, entryPath: ENTRY, onLog: () => {} },
    });
  const filled = await open(statePath, edgePort);
  const empty = await open(join(statePath, "empty"), 0);
  return {
    ...{ origin, filled, empty },
    async close() {
      await filled.close();
      await empty.close();
      await origin.stop();
    },
  };
}

/** A pull by the first of the clients, in a world where nothing takes any time. */
export async function pullAtOnce(
  edge: RunningEdge,
  repository: string,
  aheadMs: number,
  name = "before",
): Promise<PulledImage> {
  const [client] = PULLING_CLIENTS;
  if (client === undefined) throw new Error("there are no clients");
  const nothing = { kvHotMs: 0, kvColdMs: 0, cacheMs: 0, r2Ms: 0, originMs: 0 };
  const server = edgeServer(edge, { name, ...nothing }, aheadMs);
  const line = createLine(Number.POSITIVE_INFINITY);
  const pulled = await simulate((world) => pullAs(client, world, { repository, server, line }));
  return pulled.result;
}

/** Makes the image, and has its manifest kept, as later pulls of it do. */
export async function keepImage({ origin, filled }: WorldEdges): Promise<PulledImage> {
  await pullAtOnce(filled, IMAGE, 0);
  await drained(origin);
  for (const aheadMs of [0, LATER_MS]) await pullAtOnce(filled, IMAGE, aheadMs);
  const pulled = await pullAtOnce(filled, IMAGE, AHEAD_MS);
  if (!/detail=kv/.test(pulled.cacheStatus ?? "")) {
    throw new Error(`the image is not kept: ${pulled.cacheStatus}`);
  }
  return pulled;
}

/** Until the edge has everything that the origin has for it. */
export async function drained({ storagePath }: RunningOrigin): Promise<void> {
  const deadlineMs = performance.now() + BACKFILL_DEADLINE_MS;
  while ((await readdir(join(storagePath, "outbox"))).length > 0) {
    if (performance.now() > deadlineMs) throw new Error("the outbox is not emptied");
    await pause(100);
  }
}

/** What an edge has done since this was asked last. */
export async function operationsOf({ url }: RunningEdge): Promise<Operations> {
  return (await (await fetch(`${url}${OPERATIONS_PATH}`)).json()) as Operations;
}

/** The image as a registry serves it that has nothing else. */
export async function contentOfImage({ url, storagePath }: RunningOrigin): Promise<Content> {
  const { bytes, manifest } = await pullManifest(url, IMAGE, "oci-zstd");
  const digest = await digestOf(Uint8Array.from(bytes));
  const config = manifest.config.digest;
  const content = new Map<string, Served>([
    ["", { body: new Uint8Array(), digest: undefined }],
    [`${IMAGE}/manifests/latest`, { body: bytes, digest }],
    [`${IMAGE}/manifests/${digest}`, { body: bytes, digest }],
    [`${IMAGE}/blobs/${config}`, { body: await pullBlob(url, IMAGE, config), digest: config }],
  ]);
  for (const layer of manifest.layers) {
    const body = await readFile(blobPath(storagePath, layer.digest));
    content.set(`${IMAGE}/blobs/${layer.digest}`, { body, digest: layer.digest });
  }
  return content;
}
