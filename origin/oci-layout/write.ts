// Writes an image to a folder as an OCI image layout, with a file beside it that says what the
// image is made of and where each of its blobs lies.

import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { copyFile, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import * as v from "valibot";
import type { ComposedImage } from "../../registry/image/compose.ts";
import { OCI_INDEX } from "../../registry/image/media-type.ts";
import { digestSchema, type PackingId } from "../../registry/image/record.ts";
import { type Digest, digestHex } from "../../registry/naming/digest.ts";
import type { Tag } from "../../registry/naming/reference.ts";
import type { BlobStore } from "../storage/blob-store.ts";
import { storageKey } from "../storage/keys.ts";

export interface LayoutToWrite {
  readonly image: ComposedImage;
  readonly tag: Tag;
  readonly packing: PackingId;
  /** Holds the layers. */
  readonly store: BlobStore;
  readonly outputPath: string;
}

const manifestSchema = v.object({ layers: v.array(v.object({ digest: digestSchema })) });

export async function writeLayout(layout: LayoutToWrite): Promise<void> {
  const { image, tag, packing, store, outputPath } = layout;
  const { config, manifest } = image;
  await mkdir(join(outputPath, "blobs/sha256"), { recursive: true });
  const pathOf = (digest: Digest) => join(outputPath, "blobs/sha256", digestHex(digest));

  const content: unknown = JSON.parse(new TextDecoder().decode(manifest.bytes));
  const layers = v.parse(manifestSchema, content).layers.map(({ digest }) => digest);
  for (const digest of new Set(layers)) {
    const file = await store.localPart(storageKey.layer(digest), null);
    if (file === undefined) throw new Error(`${digest} was not stored`);
    await copyFile(file.path, pathOf(digest));
  }
  await writeFile(pathOf(config.digest), config.bytes);
  await writeFile(pathOf(manifest.digest), manifest.bytes);

  const { mediaType, digest } = manifest;
  const descriptor = {
    ...{ mediaType, digest, size: manifest.bytes.length },
    annotations: { "org.opencontainers.image.ref.name": tag },
  };
  const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [descriptor] };
  await writeFile(join(outputPath, "index.json"), JSON.stringify(index));
  await writeFile(join(outputPath, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }));

  const layerLocations: Record<string, { path: string; md5: string }> = {};
  for (const blob of new Set([...layers, config.digest])) {
    layerLocations[digestHex(blob)] = { path: pathOf(blob), md5: await md5Of(pathOf(blob)) };
  }
  const facts = { digest, mediaType, packing, manifest: content, layerLocations };
  await writeFile(join(outputPath, "image.json"), JSON.stringify(facts, null, 2));
}

/** Base64 of the binary hash, as object storages want it to check an upload. */
async function md5Of(path: string): Promise<string> {
  const hash = createHash("md5");
  // Not read whole: a layer may be larger than what Node puts into one buffer.
  await pipeline(createReadStream(path), hash);
  return hash.digest("base64");
}
