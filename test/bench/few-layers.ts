// The rival of a composed image: the same content in eight layers, as an image builder that knows
// the whole image can cut it. Seven hold the store paths, evenly filled; one holds base and links.

import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import zlib from "node:zlib";
import { extract } from "tar-stream";
import { type ArchiveEntry, packEntries } from "../../origin/layers/entries.ts";
import type { Form, LayerRecord } from "../../registry/image/record.ts";
import { type Digest, digestHex, digestOf } from "../../registry/naming/digest.ts";
import type { StorePath } from "../../registry/naming/store-path.ts";
import { blobPath, type Descriptor, type Pulled, readJson } from "./origins.ts";
import { packInChild } from "./pack.ts";
import type { StaticImage } from "./static-registry.ts";
import { listFiles } from "./trees.ts";
import { readRecords, storePathsOf } from "./workbench.ts";

const STORE_LAYERS = 7;

/** The image as the origin composed it, its layers where the origin stores them. */
export function composedImage(
  repository: string,
  storagePath: string,
  { bytes, manifest }: Pulled,
  configPath: string,
): StaticImage {
  const layers = manifest.layers.map(
    ({ digest }) => [digest, blobPath(storagePath, digest)] as const,
  );
  const blobs = new Map([[manifest.config.digest, configPath], ...layers]);
  return { repository, manifest: bytes, blobs };
}

export interface FewLayers {
  readonly form: Form;
  /** Of the composed image. */
  readonly configPath: string;
  /** For what is made. */
  readonly directory: string;
}

export async function fewLayersImage(
  repository: string,
  storagePath: string,
  { bytes, manifest }: Pulled,
  { form, configPath, directory }: FewLayers,
): Promise<StaticImage> {
  await mkdir(directory, { recursive: true });
  const records = (await readRecords(storagePath)).filter((record) => record.form === form);
  const inImage = new Set(manifest.layers.map(({ digest }) => digest));
  const paths = storePathsOf(
    records.map((each) => ({
      ...each,
      bundles: each.bundles.filter(({ digest }) => inImage.has(digest)),
    })),
  );
  const layers = await packEvenly(paths, form, directory);
  layers.push(await mergeLinks(storagePath, manifest.layers, form, directory));

  const config = (await readJson(configPath)) as object;
  const configBytes = encode({
    ...config,
    history: undefined,
    rootfs: { type: "layers", diff_ids: layers.map(({ diffId }) => diffId) },
  });
  const configDigest = await store(directory, configBytes);
  const { mediaType = "" } = manifest.layers[0] ?? {};
  const manifestBytes = encode({
    ...(JSON.parse(new TextDecoder().decode(bytes)) as object),
    config: { ...manifest.config, digest: configDigest, size: configBytes.length },
    layers: layers.map(({ digest, sizeBytes }) => ({ mediaType, digest, size: sizeBytes })),
  });
  const digests = [configDigest, ...layers.map(({ digest }) => digest)];
  const blobs = new Map(digests.map((digest) => [digest, join(directory, digestHex(digest))]));
  return { repository, manifest: manifestBytes, blobs };
}

/** The biggest first, each to the layer that holds least. */
async function packEvenly(
  storePaths: readonly StorePath[],
  form: Form,
  directory: string,
): Promise<LayerRecord[]> {
  const sized = await Promise.all(
    storePaths.map(async (storePath) => {
      const files = await listFiles([storePath]);
      return { storePath, sizeBytes: files.reduce((sum, file) => sum + file.sizeBytes, 0) };
    }),
  );
  const groups = Array.from({ length: STORE_LAYERS }, () => ({
    sizeBytes: 0,
    storePaths: [] as StorePath[],
  }));
  for (const { storePath, sizeBytes } of sized.sort((a, b) => b.sizeBytes - a.sizeBytes)) {
    const least = groups.reduce((a, b) => (b.sizeBytes < a.sizeBytes ? b : a));
    least.storePaths.push(storePath);
    least.sizeBytes += sizeBytes;
  }
  const { report } = await packInChild({
    ...{ form, workers: null, storeDirectory: "/nix/store" },
    layers: groups.map((group, index) => ({
      storePaths: group.storePaths,
      destination: join(directory, `layer-${index}`),
      sizeBytes: group.sizeBytes,
    })),
  });
  for (const [index, { digest }] of report.layers.entries()) {
    const packed = await readFile(join(directory, `layer-${index}`));
    await writeFile(join(directory, digestHex(digest)), packed);
  }
  return [...report.layers];
}

/** All that lies outside the store, put together as overlay does: the upper wins. */
async function mergeLinks(
  storagePath: string,
  layers: readonly Descriptor[],
  form: Form,
  directory: string,
): Promise<LayerRecord> {
  const entries = new Map<string, ArchiveEntry>();
  for (const { digest } of layers) {
    const packed = await readFile(blobPath(storagePath, digest));
    const tar = form === "zstd" ? zlib.zstdDecompressSync(packed) : zlib.gunzipSync(packed);
    for (const entry of await readEntries(tar)) {
      if (!/^nix(?:\/|$)/.test(entry.path)) entries.set(entry.path, entry);
    }
  }
  const { bytes, digest, diffId, sizeBytes } = packEntries([...entries.values()], form);
  await writeFile(join(directory, digestHex(digest)), bytes);
  return { digest, diffId, sizeBytes };
}

async function readEntries(tar: Uint8Array): Promise<readonly ArchiveEntry[]> {
  const entries: ArchiveEntry[] = [];
  const archive = extract();
  archive.end(tar);
  for await (const file of archive) {
    const { name, type, mode = 0, linkname } = file.header;
    const path = name.replace(/\/$/, "");
    const content = await buffer(file);
    if (type === "directory") entries.push({ kind: "directory", path, mode });
    else if (type === "symlink") entries.push({ kind: "link", path, target: linkname ?? "" });
    else entries.push({ kind: "file", path, mode, content });
  }
  return entries;
}

async function store(directory: string, bytes: Uint8Array<ArrayBuffer>): Promise<Digest> {
  const digest = await digestOf(bytes);
  await writeFile(join(directory, digestHex(digest)), bytes);
  return digest;
}

function encode(value: unknown): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(JSON.stringify(value));
}
