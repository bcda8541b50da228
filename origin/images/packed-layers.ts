// Every layer this origin ever packed: by what it is made of, so that nothing is packed twice; by
// where each store path's segment lies in it, so that other layers are joined from stored bytes; and
// by its digest, so that a layer that was evicted can be made again.

import { rm } from "node:fs/promises";
import * as v from "valibot";
import { storePathSchema } from "../../registry/image/lookup.ts";
import type { Part } from "../../registry/image/part.ts";
import {
  digestSchema,
  FORMS,
  type Form,
  type LayerRecord,
  type Link,
  layerRecordSchema,
  linkSchema,
  partSchema,
} from "../../registry/image/record.ts";
import type { Digest } from "../../registry/naming/digest.ts";
import type { StorePath } from "../../registry/naming/store-path.ts";
import { GROUND_ID } from "../layers/base.ts";
import { packerId } from "../layers/compression.ts";
import { packEntries, packTar } from "../layers/entries.ts";
import type { PackedLayer, SegmentTask } from "../layers/layer.ts";
import { databaseId } from "../layers/nix-database.ts";
import type { PackRequest } from "../layers/pack-job.ts";
import type { Packer } from "../layers/packer.ts";
import type { Log } from "../log/log.ts";
import { recentValues } from "../memory/recent-values.ts";
import type { BlobStore } from "../storage/blob-store.ts";
import { type StorageKey, storageKey } from "../storage/keys.ts";
import { parseStoredJson, storedJson } from "../storage/stored-json.ts";
import { createWriteBehind } from "../storage/write-behind.ts";
import { joinBatches } from "../waiting/join.ts";

/** What a layer was made of. */
export type Making = { readonly form: Form } & (
  | {
      readonly kind: "bundle";
      readonly storePaths: readonly StorePath[];
      /** The part whose view lies in it too. */
      readonly viewOf: Part | null;
    }
  | { readonly kind: "links"; readonly links: readonly Link[] }
);

export interface BundleToPack {
  readonly storePaths: readonly StorePath[];
  /** The links of one part that lie in it too, as tar. */
  readonly view: { readonly of: Part; readonly tar: Uint8Array } | null;
  readonly form: Form;
  /** What the paths take in the store: only for the order of work. */
  readonly sizeBytes: number;
  /** Whose layer it is: the packer takes turns between groups. */
  readonly group: string;
  /** It is packed, and yet to be stored; not called for what another packs, or nobody needs to. */
  readonly onPacked?: () => void;
}

export interface PackedLayers {
  /** The paths must be valid and held. What is known is not packed, what is under way is joined. */
  bundle(bundle: BundleToPack): Promise<LayerRecord>;
  links(making: Extract<Making, { readonly kind: "links" }>): Promise<LayerRecord>;
  making(digest: Digest): Promise<Making | undefined>;
  /** From now on: the bytes of those of some layers that were packed since, each counted once. */
  watch(): (digests: Iterable<Digest>) => number;
  /** Writes what is remembered of layers, now and from then on. */
  close(): Promise<void>;
}

export interface PackedLayersOptions {
  readonly packer: Packer;
  readonly store: BlobStore;
  readonly log: Pick<Log, "info" | "warn">;
  readonly signal: AbortSignal;
}

/** More than any pull waits for; of a layer that is no longer among them its bytes count as old. */
const MAX_LATEST = 10_000;

const form = v.picklist(FORMS);
const makingSchema: v.GenericSchema<unknown, Making> = v.variant("kind", [
  v.object({
    kind: v.literal("bundle"),
    form,
    storePaths: v.array(storePathSchema),
    viewOf: v.nullable(partSchema),
  }),
  v.object({ kind: v.literal("links"), form, links: v.array(linkSchema) }),
]);

const segmentSchema = v.object({
  layer: digestSchema,
  offsetBytes: v.number(),
  sizeBytes: v.number(),
  crc32: v.number(),
});

export function createPackedLayers(options: PackedLayersOptions): PackedLayers {
  const { packer, store, log, signal } = options;
  // Each value in it may be lost, and costs only a packing then.
  const notes = createWriteBehind(store, log);
  let packedCount = 0;
  const latest = recentValues<{ readonly place: number; readonly sizeBytes: number }>(MAX_LATEST);
  // A view has the modes of the ground's directories, if not the ground itself, or is a database.
  const keyOf = ({ form, storePaths, view }: BundleToPack) =>
    view === null
      ? storageKey.build(packerId(form), storePaths, null)
      : storageKey.build(`${packerId(form)}.g${GROUND_ID}.d${databaseId()}`, storePaths, view.of);
  const packing = joinBatches<BundleToPack, LayerRecord>(keyOf, (bundles) =>
    notes.during(() => Promise.all(bundles.map(pack))),
  );

  /** A layer packed before, if its bytes are still there. */
  async function recall(key: StorageKey): Promise<LayerRecord | undefined> {
    const bytes = await notes.lookup(key);
    const parsed = v.safeParse(layerRecordSchema, bytes && parseStoredJson(bytes));
    if (!parsed.success) return undefined;
    const sizeBytes = await store.sizeBytes(storageKey.layer(parsed.output.digest));
    return sizeBytes === parsed.output.sizeBytes ? parsed.output : undefined;
  }

  async function pack(bundle: BundleToPack): Promise<LayerRecord> {
    const known = await recall(keyOf(bundle));
    if (known !== undefined) return known;
    const { storePaths, view, form, sizeBytes, group, onPacked } = bundle;
    if (storePaths.length === 0) return await packView(bundle);
    const startedMs = performance.now();
    const segments = await Promise.all(storePaths.map((path) => findSegment(path, form)));
    const destination = store.stagingPath();
    const request = { segments, viewTar: view?.tar, form, destination, sizeBytes, group, signal };
    const packed = await packToFile(request, onPacked);
    const layer = layerOf(packed);
    remember(bundle, packed);
    const joined = packed.segments.filter(({ isJoined }) => isJoined).length;
    // With its wait for a thread.
    const ms = Math.round(performance.now() - startedMs);
    log.info(
      { digest: layer.digest, sizeBytes: layer.sizeBytes, storePaths, form, joined, ms },
      "packed",
    );
    return layer;
  }

  /** Packs and stores; leaves nothing behind where either fails. */
  async function packToFile(request: PackRequest, onPacked?: () => void): Promise<PackedLayer> {
    try {
      const packed = await packer.pack(request);
      onPacked?.();
      await store.storeFile(storageKey.layer(packed.digest), request.destination);
      return packed;
    } catch (error) {
      await rm(request.destination, { force: true });
      throw error;
    }
  }

  /** Some kilobytes of links: the threads are for more. */
  async function packView(bundle: BundleToPack): Promise<LayerRecord> {
    const { bytes, ...packed } = packTar(bundle.view?.tar ?? new Uint8Array(), bundle.form);
    await store.store(storageKey.layer(packed.digest), bytes);
    remember(bundle, { ...packed, segments: [] });
    return layerOf(packed);
  }

  async function findSegment(storePath: StorePath, form: Form): Promise<SegmentTask> {
    const bytes = await notes.lookup(storageKey.segment(packerId(form), storePath));
    const parsed = v.safeParse(segmentSchema, bytes && parseStoredJson(bytes));
    if (!parsed.success) return { storePath };
    const { layer, offsetBytes, sizeBytes, crc32 } = parsed.output;
    const place = { offset: offsetBytes, length: sizeBytes };
    const part = await store.localPart(storageKey.layer(layer), place);
    if (part === undefined) return { storePath };
    const stored = { file: part.path, offsetBytes: part.offsetBytes, sizeBytes, crc32 };
    return { storePath, stored };
  }

  /** After the layer itself is durable. */
  function remember(bundle: BundleToPack, packed: PackedLayer): void {
    const { form, storePaths, view } = bundle;
    const layer = packed.digest;
    for (const { storePath, isJoined, offsetBytes, sizeBytes, crc32 } of packed.segments) {
      if (isJoined) continue;
      const place = { layer, offsetBytes, sizeBytes, crc32 };
      rememberJson(storageKey.segment(packerId(form), storePath), place);
    }
    rememberMaking(layer, { kind: "bundle", form, storePaths, viewOf: view?.of ?? null });
    countPacked(packed);
    rememberJson(keyOf(bundle), layerOf(packed));
  }

  function rememberMaking(digest: Digest, making: Making): void {
    rememberJson(storageKey.making(digest), making);
  }

  function countPacked({ digest, sizeBytes }: LayerRecord): void {
    packedCount += 1;
    latest.store(digest, { place: packedCount, sizeBytes });
  }

  function rememberJson(key: StorageKey, value: unknown): void {
    notes.remember(key, storedJson(value));
  }

  return {
    async bundle(bundle) {
      const [layer] = await packing.all([bundle]);
      if (layer === undefined) throw new Error("a joined call gives one result per item");
      return layer;
    },
    async links(making) {
      const entries = making.links.map(
        ({ path, target }) => ({ kind: "link", path: path.slice(1), target }) as const,
      );
      const { bytes, ...packed } = packEntries(entries, making.form);
      const key = storageKey.layer(packed.digest);
      if (await store.create(key, bytes)) {
        rememberMaking(packed.digest, making);
        countPacked(packed);
      }
      return layerOf(packed);
    },
    async making(digest) {
      const bytes = await notes.lookup(storageKey.making(digest));
      const parsed = v.safeParse(makingSchema, bytes && parseStoredJson(bytes));
      return parsed.success ? parsed.output : undefined;
    },
    watch() {
      const before = packedCount;
      return (digests) => {
        if (packedCount === before) return 0;
        const packed = [...new Set(digests)].flatMap((digest) => latest.lookup(digest) ?? []);
        return packed
          .filter(({ place }) => place > before)
          .reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
      };
    },
    close: notes.close,
  };
}

function layerOf({ digest, diffId, sizeBytes }: LayerRecord): LayerRecord {
  return { digest, diffId, sizeBytes };
}
