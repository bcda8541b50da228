// What 1,000 combinations leave behind, each pulled once as clients do, of packages that were pulled
// before: objects and bytes, at the edge and at the origin; and what it costs to compose them again.

import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { type RunningEdge, startEdge } from "../../origin/command/workerd.ts";
import { OCI_MANIFEST } from "../../registry/image/media-type.ts";
import { freePort } from "../free-port.ts";
import { drained } from "./drained.ts";
import { median } from "./measure.ts";
import { type Manifest, pullManifest, startOrigin } from "./origins.ts";
import { createRandom, shuffle } from "./random.ts";
import { bar, type Row, type Section } from "./report.ts";
import { SINGLE_PACKAGES, type Workbench } from "./workbench.ts";

const SEED = 44;
const COMBINATIONS = 1000;
const LARGEST = 5;
const SMALLEST = 2;
/** Objects for each combination, at either side. */
const LIMIT = 0.1;
/** Of those that are composed again by an edge that has just started. */
const COMPOSED_AGAIN = 100;
const SECRET = "a secret of the benchmark";
const HEADERS = { Accept: OCI_MANIFEST, "User-Agent": "containerd/v2.1.0" };

interface Stored {
  readonly objects: number;
  readonly bytes: number;
}

interface Once {
  readonly name: string;
  readonly digest: string;
  readonly config: string;
  readonly byTagMs: number;
  readonly byDigestMs: number;
}

export async function measureKept(bench: Workbench): Promise<Section> {
  const [edgePort, port] = [await freePort(), await freePort()];
  const edgeUrl = `http://127.0.0.1:${edgePort}`;
  const statePath = join(bench.scratch, "kept");
  const env = { ...bench.env, PORT: String(port), NIXPORT_SECRET: SECRET };
  const origin = await startOrigin({ ...env, NIXPORT_EDGE_URL: edgeUrl }, statePath);
  const openEdge = () =>
    startEdge({
      ...{ port: edgePort, statePath, originUrl: origin.url, secret: SECRET },
      pinFreshSeconds: 86_400,
      onLog: () => {},
    });
  let edge = await openEdge();
  try {
    const all = combinations(2 * COMBINATIONS);
    const [atEdge, atOrigin] = [all.slice(0, COMBINATIONS), all.slice(COMBINATIONS)];
    for (const name of SINGLE_PACKAGES) await pullManifest(edge.url, name, "oci-zstd");
    await drained(origin.storagePath);
    const before = [await storedAtEdge(edge), await storedAtOrigin(origin.storagePath)] as const;
    const pulled: Once[] = [];
    for (const name of atEdge) pulled.push(await pullOnce(edge.url, name));
    const afterEdge = [await storedAtEdge(edge), await storedAtOrigin(origin.storagePath)] as const;
    for (const name of atOrigin) await pullOnce(origin.url, name);
    await drained(origin.storagePath);
    const after = [await storedAtEdge(edge), await storedAtOrigin(origin.storagePath)] as const;

    await edge.close();
    edge = await openEdge();
    // The first request of all pays for the start of the runtime.
    await get(`${edge.url}/v2/`);
    const again: number[] = [];
    for (const { name, digest, config } of pulled.slice(0, COMPOSED_AGAIN)) {
      again.push((await get(`${edge.url}/v2/${name}/manifests/${digest}`)).ms);
      again.push((await get(`${edge.url}/v2/${name}/blobs/${config}`)).ms);
    }
    const rows = [
      left("edge", "pulled from the edge", before[0], afterEdge[0]),
      left("origin", "pulled from the edge", before[1], afterEdge[1]),
      left("edge", "pulled from the origin", afterEdge[0], after[0]),
      left("origin", "pulled from the origin", afterEdge[1], after[1]),
    ];
    const mostObjects = (side: string) =>
      Math.max(...rows.filter((row) => row.side === side).map((row) => row["objects each"]));
    return {
      name: "kept",
      title: `what ${COMBINATIONS} combinations of ${SMALLEST}-${LARGEST} of ${SINGLE_PACKAGES.length} packages leave, each pulled once`,
      tables: [
        rows,
        [
          time(
            "by tag, composed",
            pulled.map(({ byTagMs }) => byTagMs),
          ),
          time(
            "by digest right after",
            pulled.map(({ byDigestMs }) => byDigestMs),
          ),
          time("by digest, composed again by another runtime", again),
        ],
      ],
      bars: [
        bar("kept: objects each at the edge", mostObjects("edge"), "at most", LIMIT),
        bar("kept: objects each at the origin", mostObjects("origin"), "at most", LIMIT),
      ],
      notes: [
        "a pull is HEAD of the tag, the manifest and the config by digest, and HEAD of a layer",
      ],
    };
  } finally {
    await edge.close();
    await origin.stop();
  }
}

async function pullOnce(url: string, name: string): Promise<Once> {
  const head = await get(`${url}/v2/${name}/manifests/latest`, "HEAD");
  const digest = head.headers.get("Docker-Content-Digest") ?? "";
  const { text, ms } = await get(`${url}/v2/${name}/manifests/${digest}`);
  const { config, layers } = JSON.parse(text) as Manifest;
  await get(`${url}/v2/${name}/blobs/${config.digest}`);
  await get(`${url}/v2/${name}/blobs/${layers[0]?.digest}`, "HEAD");
  return { name, digest, config: config.digest, byTagMs: head.ms, byDigestMs: ms };
}

async function get(url: string, method: "GET" | "HEAD" = "GET") {
  const startedMs = performance.now();
  const response = await fetch(url, { method, headers: HEADERS });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${url}: HTTP ${response.status} ${text}`);
  return { text, headers: response.headers, ms: performance.now() - startedMs };
}

async function storedAtOrigin(storagePath: string): Promise<Stored> {
  const entries = await readdir(storagePath, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  const sizes = await Promise.all(
    files.map(async (file) => (await stat(join(file.parentPath, file.name))).size),
  );
  return { objects: files.length, bytes: sum(sizes) };
}

export async function storedAtEdge({ miniflare }: RunningEdge): Promise<Stored> {
  const [kv, r2] = [await miniflare.getKVNamespace("KV"), await miniflare.getR2Bucket("R2")];
  const sizes: number[] = [];
  for (let cursor: string | undefined; ; ) {
    const page = await r2.list(cursor === undefined ? {} : { cursor });
    sizes.push(...page.objects.map(({ size }) => size));
    if (!page.truncated) break;
    cursor = page.cursor;
  }
  for (let cursor: string | undefined; ; ) {
    const page = await kv.list(cursor === undefined ? {} : { cursor });
    for (const { name } of page.keys) {
      sizes.push((await kv.get(name, "arrayBuffer"))?.byteLength ?? 0);
    }
    if (page.list_complete) break;
    cursor = page.cursor;
  }
  return { objects: sizes.length, bytes: sum(sizes) };
}

function left(side: string, how: string, before: Stored, after: Stored) {
  const objects = after.objects - before.objects;
  const bytes = after.bytes - before.bytes;
  return {
    ...{ side, how, "objects before": before.objects, objects, bytes },
    "objects each": objects / COMBINATIONS,
  };
}

function time(what: string, milliseconds: readonly number[]): Row {
  return { what, "median ms": median(milliseconds), "longest ms": Math.max(...milliseconds) };
}

/** The same in every run; no two alike. */
function combinations(count: number): readonly string[] {
  const random = createRandom(SEED);
  const chosen = new Set<string>();
  while (chosen.size < count) {
    const size = SMALLEST + random.below(LARGEST - SMALLEST + 1);
    chosen.add(shuffle(random, SINGLE_PACKAGES).slice(0, size).sort().join("/"));
  }
  return [...chosen];
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
