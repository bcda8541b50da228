// `nixport gc` beside an origin and an edge that serve: what was pulled, be it from the edge alone, stays at both,
// and is pulled whole while the origin is gone; the rest goes at both, and is made again with its digest.

import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, assert, beforeAll, describe, expect, test } from "vitest";
import { DAY_MS } from "../../origin/gc/rules.ts";
import { pinImage } from "../../origin/pulled/pinned-images.ts";
import { parsePullNotes } from "../../origin/pulled/pull-notes.ts";
import { openFilesystemStore } from "../../origin/storage/filesystem.ts";
import { storedJson } from "../../origin/storage/stored-json.ts";
import { PULLED_PATH } from "../../registry/http/route.ts";
import { digestOf } from "../../registry/naming/digest.ts";
import { ended, start } from "../origin/command/command.ts";
import { get, type PulledManifest, pullManifest } from "./clients.ts";
import { DEBIAN_SET, type Deployment, deploy, type Part } from "./deployment.ts";

/** By the edge alone, of late; never since, but it is on the list; never since. */
const [PULLED, PINNED, DROPPED] = ["hello", "htop", "jq"] as const;

let deployment: Deployment;
let origin: Part;
let edge: Part;
const before = new Map<string, PulledManifest>();

const storagePath = () => join(deployment.statePath, "origin");

async function nixport(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await ended(
    start(args, {
      ...{ NIXPORT_STATE: deployment.statePath, NIXERY_PKGS_PATH: DEBIAN_SET },
      ...{ EDGE_PORT: new URL(deployment.edgeUrl).port, HOME: process.env.HOME ?? "/root" },
    }),
  );
  expect(code, stdout + stderr).toBe(0);
  return stdout;
}

/** So that what was noted until now was noted forty days ago. */
async function ageNotes(): Promise<void> {
  const folder = join(storagePath(), "pulls");
  for (const name of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!name.isFile()) continue;
    const path = join(name.parentPath, name.name);
    const notes = parsePullNotes(await readFile(path));
    const aged = notes.map((each) => ({ ...each, pulledAtMs: each.pulledAtMs - 40 * DAY_MS }));
    await writeFile(path, storedJson(aged));
  }
}

/** From the edge, by tag and by digest, with every blob. */
async function pullWhole(name: string): Promise<PulledManifest> {
  const manifest = await pullManifest(deployment.edgeUrl, name);
  expect(manifest.digest).toBe(before.get(name)?.digest);
  const again = await pullManifest(deployment.edgeUrl, `${name}@${manifest.digest}`);
  for (const { digest } of [again.config, ...again.layers]) {
    const response = await get(deployment.edgeUrl, `/v2/${name}/blobs/${digest}`);
    expect(await digestOf(await response.bytes()), `${response.status}`).toBe(digest);
  }
  return manifest;
}

const backfilled = (count: number) =>
  origin.waitFor(() => origin.log.filter(({ msg }) => msg === "backfilled").length === count);

beforeAll(async () => {
  deployment = await deploy();
  // Kept from their first pulls on, with manifests, configs and pointers.
  const store = await openFilesystemStore(storagePath());
  for (const name of [PULLED, PINNED, DROPPED]) await pinImage(store, `${name}:latest`);
  [origin, edge] = await Promise.all([deployment.startOrigin(), deployment.startEdge()]);
  for (const name of [PULLED, PINNED, DROPPED]) {
    before.set(name, await pullManifest(deployment.edgeUrl, name));
  }
  await backfilled(3);
  await nixport("gc", "--unpin", PULLED, "--unpin", DROPPED);
  await origin.stop();
  await ageNotes();
  origin = await deployment.startOrigin();
  const { headers } = await pullWhole(PULLED);
  expect(headers.get("cache-status")).toMatch(/^nixport; hit; detail=/);
  await origin.waitFor(({ path, status }) => path === PULLED_PATH && status === 204);
  // It writes what it was told of, and begins anew.
  await origin.stop();
  origin = await deployment.startOrigin();
});

afterAll(() => deployment?.close());

describe("a collection beside an origin and an edge", () => {
  test("takes the same away at both, and leaves nothing that names what is not there", async () => {
    const { edge, images } = JSON.parse(
      await nixport("gc", "--keep", "30d", "--grace", "0", "--json"),
    );
    expect(images.kept).toBe(1);
    const gone = Object.fromEntries(
      Object.entries<{ values: number }>(edge.folders).map(([name, { values }]) => [name, values]),
    );
    const some = expect.toSatisfy((count: number) => count > 0);
    expect(gone).toStrictEqual({
      ...{ "r2/pointers": 1, "kv/p": 1, "r2/manifests": 1, "kv/m": 1 },
      ...{ "kv/l": some, "kv/r": some, "r2/outputs": some, "r2/blobs": some },
    });
    await nixport("fsck");
  });

  test("keeps at the edge what was pulled there and what is pinned, whole without an origin", async () => {
    await Promise.all([origin.stop("SIGKILL"), edge.stop()]);
    // With nothing in its memory.
    edge = await deployment.startEdge();
    for (const name of [PULLED, PINNED]) await pullWhole(name);
    for (const reference of ["latest", before.get(DROPPED)?.digest]) {
      const path = `/v2/${DROPPED}/manifests/${reference}`;
      const response = await get(deployment.edgeUrl, path);
      expect(response.status).toBe(503);
      await response.body?.cancel();
    }
  });

  test("is followed by the same image for whoever asks for what went", async () => {
    origin = await deployment.startOrigin();
    await pullWhole(DROPPED);
  });
});

test("a layer that was damaged before the edge had it gets there as it was", async () => {
  await edge.stop();
  await pullManifest(deployment.originUrl, "git");
  const [layer] = (await pullManifest(deployment.originUrl, "git")).layers.slice(-1);
  assert(layer !== undefined);
  const path = join(storagePath(), "layers", layer.digest.slice("sha256:".length));
  const bytes = await readFile(path);
  await writeFile(
    path,
    bytes.map((byte, place) => (place === 100 ? byte ^ 1 : byte)),
  );
  edge = await deployment.startEdge();
  await origin.waitFor(({ msg }) => msg?.startsWith("a damaged layer is removed") ?? false);
  await origin.waitFor(({ msg, recipe }) => msg === "backfilled" && /\/git\b/.test(String(recipe)));
  await origin.stop("SIGKILL");
  const response = await get(deployment.edgeUrl, `/v2/git/blobs/${layer.digest}`);
  expect(await digestOf(await response.bytes())).toBe(layer.digest);
});
