// Packing in a process of its own, so that its time and memory are those of packing alone. Reads a
// PackingJob from standard input and writes a PackingReport to standard output, both as JSON.

import { createHash } from "node:crypto";
import { text } from "node:stream/consumers";
import { createChunkBuffer, createChunkWriter } from "../../origin/layers/chunk-writer.ts";
import { createPacker } from "../../origin/layers/packer.ts";
import { writeStoreParents, writeStorePath } from "../../origin/layers/tar.ts";
import type { Form, LayerRecord } from "../../registry/image/record.ts";
import type { Digest } from "../../registry/naming/digest.ts";
import type { StorePath } from "../../registry/naming/store-path.ts";

export interface PackingJob {
  /** "hash" is the limit: the tar is written and hashed twice as a layer is, and nothing else. */
  readonly form: Form | "hash";
  /** Null: the packer's own choice. */
  readonly workers: number | null;
  readonly storeDirectory: string;
  /** Packed one after another. */
  readonly layers: readonly {
    readonly storePaths: readonly StorePath[];
    readonly destination: string;
    /** What the paths take, as the origin knows it from Nix: it decides how many threads help. */
    readonly sizeBytes: number;
  }[];
}

export interface PackingReport {
  /** Of the layers, in their order; of the tar where nothing is compressed. */
  readonly layers: readonly LayerRecord[];
  readonly peakRssBytes: number;
}

export const PACKING_CHILD = import.meta.filename;

if (import.meta.main) {
  const job = JSON.parse(await text(process.stdin)) as PackingJob;
  const layers = job.form === "hash" ? hashLayers(job) : await packLayers(job, job.form);
  const report: PackingReport = {
    layers,
    peakRssBytes: process.resourceUsage().maxRSS * 1024,
  };
  process.stdout.write(JSON.stringify(report));
}

async function packLayers(job: PackingJob, form: Form): Promise<readonly LayerRecord[]> {
  const { workers, storeDirectory } = job;
  const packer = createPacker({ storeDirectory, ...(workers === null ? {} : { workers }) });
  const packed: LayerRecord[] = [];
  for (const { storePaths, destination, sizeBytes: treeBytes } of job.layers) {
    const { digest, diffId, sizeBytes } = await packer.pack({
      segments: storePaths.map((storePath) => ({ storePath })),
      ...{ form, destination, group: "bench", sizeBytes: treeBytes },
    });
    packed.push({ digest, diffId, sizeBytes });
  }
  await packer.close();
  return packed;
}

function hashLayers({ layers, storeDirectory }: PackingJob): readonly LayerRecord[] {
  return layers.map(({ storePaths }) => {
    const tarHash = createHash("sha256");
    const layerHash = createHash("sha256");
    let sizeBytes = 0;
    const out = createChunkWriter(createChunkBuffer(), (chunk) => {
      tarHash.update(chunk);
      layerHash.update(chunk);
      sizeBytes += chunk.length;
    });
    writeStoreParents(out);
    for (const storePath of storePaths) writeStorePath(out, storePath, storeDirectory);
    out.flush();
    const diffId = `sha256:${tarHash.digest("hex")}` as Digest;
    return { digest: `sha256:${layerHash.digest("hex")}` as Digest, diffId, sizeBytes };
  });
}
