// One valid output path to its record: cuts the closure into bundles, packs what no package has
// packed before, and stores every layer before anything that names it.

import * as v from "valibot";
import type { Packing } from "../registry/pin.ts";
import {
  type BundleRecord,
  type FallbackRecord,
  type Form,
  type LayerRecord,
  layerRecordSchema,
  type PackageRecord,
  type PackingId,
  parsePackingId,
} from "../registry/record.ts";
import type { StorePath } from "../registry/store-path.ts";
import { joinBatches } from "./join.ts";
import { BASE_ENTRIES } from "./layers/base.ts";
import { type Bundle, cutBundles } from "./layers/bundles.ts";
import { packerId } from "./layers/compression.ts";
import type { ClosureGraph, ClosureNode } from "./layers/dominators.ts";
import { type ArchiveEntry, packEntries } from "./layers/entries.ts";
import type { Packer } from "./layers/packer.ts";
import type { Popularity } from "./layers/popularity.ts";
import { UnpackableError } from "./layers/tar.ts";
import { readView } from "./layers/view.ts";
import type { Log } from "./log.ts";
import type { BlobStore } from "./storage/blob-store.ts";
import { type StorageKey, storageKey } from "./storage/keys.ts";

export type MadeRecord =
  | { readonly kind: "record"; readonly record: PackageRecord }
  /** Its files cannot be in an image, whoever asks. */
  | { readonly kind: "unpackable"; readonly reason: string };

export interface RecordMaker {
  /** `graph` holds the closure of `storePath`, and may hold more. The paths must stay valid. */
  make(graph: ClosureGraph, storePath: StorePath, form: Form): Promise<MadeRecord>;
  /** How layers are made now; the base layer is stored. */
  packing(form: Form): Promise<Packing>;
}

export interface RecordMakerOptions {
  readonly packer: Packer;
  readonly store: BlobStore;
  readonly popularity: Popularity;
  readonly log: Log;
  readonly signal: AbortSignal;
}

interface BundleToPack {
  readonly key: StorageKey;
  readonly bundle: Bundle;
  readonly form: Form;
  readonly sizeBytes: number;
  readonly group: string;
}

export function createRecordMaker(options: RecordMakerOptions): RecordMaker {
  const { packer, store, popularity, log, signal } = options;
  const packingIds: Readonly<Record<Form, PackingId>> = {
    zstd: packingId("zstd", popularity),
    gzip: packingId("gzip", popularity),
  };
  const packing = joinBatches<BundleToPack, LayerRecord>(
    ({ key }) => key,
    (bundles) => Promise.all(bundles.map(packBundle)),
  );

  /** A layer some package had packed before, if its bytes are still there. */
  async function recall(key: StorageKey): Promise<LayerRecord | undefined> {
    const bytes = await store.lookup(key);
    if (bytes === undefined) return undefined;
    const parsed = v.safeParse(layerRecordSchema, JSON.parse(Buffer.from(bytes).toString()));
    if (!parsed.success) return undefined;
    const sizeBytes = await store.sizeBytes(storageKey.layer(parsed.output.digest));
    return sizeBytes === parsed.output.sizeBytes ? parsed.output : undefined;
  }

  async function packBundle(task: BundleToPack): Promise<LayerRecord> {
    const known = await recall(task.key);
    if (known !== undefined) return known;
    const { bundle, form, sizeBytes, group } = task;
    const destination = store.stagingPath();
    const { storePaths } = bundle;
    const packed = await packer.pack({ storePaths, form, destination, sizeBytes, group, signal });
    const layer = layerOf(packed);
    await store.storeFile(storageKey.layer(layer.digest), destination);
    await store.store(task.key, Buffer.from(JSON.stringify(layer)));
    log.info({ digest: layer.digest, sizeBytes: layer.sizeBytes, storePaths, form }, "packed");
    return layer;
  }

  /** Layers of a few links or files: views, fallbacks, the base. */
  async function storeEntries(entries: readonly ArchiveEntry[], form: Form): Promise<LayerRecord> {
    const { bytes, ...packed } = packEntries(entries, form);
    const layer = layerOf(packed);
    const key = storageKey.layer(layer.digest);
    if ((await store.sizeBytes(key)) === undefined) await store.store(key, bytes);
    return layer;
  }

  async function makeBundles(
    closure: ClosureGraph,
    storePath: StorePath,
    form: Form,
  ): Promise<readonly BundleRecord[]> {
    const bundles = cutBundles(closure, storePath, popularity);
    const sizes = new Map(closure.map(({ path, narSizeBytes }) => [path, narSizeBytes]));
    const layers = await packing.all(
      bundles.map((bundle) => ({
        key: storageKey.build(packingIds[form], bundle.storePaths),
        bundle,
        form,
        sizeBytes: bundle.storePaths.reduce((sum, path) => sum + (sizes.get(path) ?? 0), 0),
        group: storePath,
      })),
    );
    return bundles.map((bundle, index) => {
      const layer = layers[index];
      if (layer === undefined) throw new Error(`no layer of ${bundle.storePaths[0]}`);
      return { ...layer, ...bundle };
    });
  }

  return {
    async make(graph, storePath, form) {
      const closure = closureOf(graph, storePath);
      const result = readView(
        storePath,
        closure.map(({ path }) => path),
      );
      if (result.kind === "too-large") return { kind: "unpackable", reason: result.reason };
      const { entries, fallbacks, provides, program } = result.view;
      try {
        const bundles = await makeBundles(closure, storePath, form);
        const view = entries === null ? null : await storeEntries(entries, form);
        const links: FallbackRecord[] = [];
        for (const { path, target } of fallbacks) {
          const link: ArchiveEntry = { kind: "link", path: path.slice(1), target };
          links.push({ path, target, layer: await storeEntries([link], form) });
        }
        const id = packingIds[form];
        return {
          kind: "record",
          record: {
            ...{ storePath, form, packing: id, bundles, view },
            ...{ provides, fallbacks: links, program },
          },
        };
      } catch (error) {
        if (!(error instanceof UnpackableError)) throw error;
        return { kind: "unpackable", reason: error.message };
      }
    },
    async packing(form) {
      return { id: packingIds[form], base: await storeEntries(BASE_ENTRIES, form) };
    },
  };
}

function packingId(form: Form, popularity: Popularity): PackingId {
  const id = parsePackingId(`${packerId(form)}.${popularity.id}`);
  if (id === undefined) throw new Error(`${packerId(form)} makes no packing id`);
  return id;
}

/** The part of a graph that one path reaches, in the graph's order. */
function closureOf(graph: ClosureGraph, root: StorePath): ClosureGraph {
  const byPath = new Map<StorePath, ClosureNode>(graph.map((node) => [node.path, node]));
  const reached = new Set<StorePath>([root]);
  // A Set is walked in the order of insertion, and what is added during the walk is walked too.
  for (const path of reached) {
    for (const reference of byPath.get(path)?.references ?? []) reached.add(reference);
  }
  return graph.filter(({ path }) => reached.has(path));
}

function layerOf({ digest, diffId, sizeBytes }: LayerRecord): LayerRecord {
  return { digest, diffId, sizeBytes };
}
