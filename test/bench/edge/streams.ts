// The memory of the edge's runtime while clients stream one large layer: one that its location's cache takes,
// and is filled with meanwhile, and one that is too large for it.

import { createHash, randomFillSync } from "node:crypto";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import type { EdgeClient } from "../../../origin/backfill/edge-client.ts";
import { startEdge } from "../../../origin/command/workerd.ts";
import { type Digest, parseDigest } from "../../../registry/naming/digest.ts";
import { runtimeOf } from "../../load/processes.ts";
import { bar, type Row, type Section } from "../report.ts";
import type { Bench } from "../workbench.ts";
import { clientOf, SECRET } from "./backfill.ts";
import { requestOver } from "./requests.ts";

const CLIENTS = 8;
const MIB = 1024 * 1024;
/** What the edge takes of a large blob at a time: a layer is so many of one. */
const PIECE_BYTES = 32 * MIB;
const SIZES_MIB = [448, 1024];
const SAMPLE_MS = 100;
const DEADLINE_SECONDS = 600;
const LIMIT_MIB = 64;

export async function measureStreams({ scratch }: Bench): Promise<Section> {
  const rows: Row[] = [];
  for (const sizeMib of SIZES_MIB) rows.push(await measure(join(scratch, "streams"), sizeMib));
  return {
    name: "streams",
    title: `memory of the edge's runtime while ${CLIENTS} clients stream one layer`,
    tables: [rows],
    bars: rows.map(({ MiB, "MiB grown": grown }) =>
      bar(`streams: memory grows, ${MiB} MiB`, Number(grown), "at most", LIMIT_MIB, " MiB"),
    ),
    notes: [],
  };
}

async function measure(statePath: string, sizeMib: number): Promise<Row> {
  const edge = await startEdge({
    ...{ port: 0, statePath, secret: SECRET, onLog: () => {} },
    // Nothing is asked of it.
    originUrl: "http://127.0.0.1:9",
  });
  try {
    const runtime = await runtimeOf(process.pid);
    const digest = await putLayer(clientOf(edge), sizeMib);
    const before = await rssMib(runtime);
    let most = before;
    const timer = setInterval(() => {
      void rssMib(runtime).then((now) => {
        most = Math.max(most, now);
      });
    }, SAMPLE_MS);
    const streamed = await requestOver({
      ...{ url: edge.url, paths: [`/v2/any/blobs/${digest}`], connections: CLIENTS },
      ...{ requests: CLIENTS, seconds: DEADLINE_SECONDS },
    }).finally(() => clearInterval(timer));
    return {
      MiB: sizeMib,
      "MB/s": streamed.bytesPerSecond / 1e6,
      "MiB before": before,
      "MiB at most": most,
      "MiB grown": most - before,
    };
  } finally {
    await edge.close();
    await rm(statePath, { recursive: true, force: true });
  }
}

async function putLayer(client: Pick<EdgeClient, "putBlob">, sizeMib: number): Promise<Digest> {
  const piece = randomFillSync(new Uint8Array(PIECE_BYTES));
  const sizeBytes = sizeMib * MIB;
  const hash = createHash("sha256");
  for (let offset = 0; offset < sizeBytes; offset += PIECE_BYTES) hash.update(piece);
  const digest = parseDigest(`sha256:${hash.digest("hex")}`);
  if (digest === undefined) throw new Error("no digest");
  const open = async () => new Blob([piece]).stream();
  const put = await client.putBlob({ digest, sizeBytes, open });
  if (put.kind !== "accepted") throw new Error(`the edge did not take a layer: ${put.kind}`);
  return digest;
}

async function rssMib(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "latin1");
  return Math.round(Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? Number.NaN) / 1024);
}
