// Gives the edge one image or index, or a package index (push-package-index.ts), in the order in which nothing it holds ever names what it lacks:
// blobs, records, lookups, the manifest, pointers; an index after its images. Of what is not kept it gets
// neither config nor manifest, and of the pointers the tag's alone. Sending anything twice is harmless. A layer
// that is gone, or damaged, is made again first.

import {
  callsForLookups,
  callsForRecords,
  cutBodies,
  MAX_LOOKUPS_PER_BODY,
  MAX_RECORDS_PER_BODY,
  type PointersBody,
} from "../../registry/between/backfill.ts";
import { MAX_REMOVALS_PER_BODY } from "../../registry/between/stored-values.ts";
import type { TagPins } from "../../registry/between/tag-pins.ts";
import type { LayersDone } from "../../registry/http/building.ts";
import { COMPOSE_VERSION } from "../../registry/image/compose.ts";
import { type Found, parseFound } from "../../registry/image/lookup.ts";
import {
  type PackageRecord,
  parsePackageRecord,
  popularityBlob,
  recordLayers,
} from "../../registry/image/record.ts";
import { VARIANT_TYPES } from "../../registry/image/variant.ts";
import type { Digest } from "../../registry/naming/digest.ts";
import type { Pin } from "../../registry/naming/pin.ts";
import type { PackageName } from "../../registry/naming/recipe.ts";
import type { Remade } from "../images/lost-layers.ts";
import { storedManifest } from "../images/stored-manifest.ts";
import type { Log } from "../log/log.ts";
import { recentValues } from "../memory/recent-values.ts";
import { removeOld } from "../package-index/remove-old.ts";
import type { BlobStore } from "../storage/blob-store.ts";
import { type StorageKey, storageKey } from "../storage/keys.ts";
import { parseStoredJson } from "../storage/stored-json.ts";
import { removeDamaged } from "./damaged-layer.ts";
import type { EdgeClient, PushResult } from "./edge-client.ts";
import type { ImageEntry, IndexEntry, OutboxEntry } from "./entry.ts";
import { type PushOutcome, PushStopped, stop } from "./push-outcome.ts";
import { pushPackageIndex } from "./push-package-index.ts";

export type { PushOutcome } from "./push-outcome.ts";

/** `onSent` hears how far the layers are, as often as one of them is there. */
export type Pusher = (
  entry: OutboxEntry,
  onSent?: (layers: LayersDone) => void,
) => Promise<PushOutcome>;

export interface PusherOptions {
  readonly store: BlobStore;
  readonly edge: EdgeClient;
  readonly packings: TagPins["packings"];
  /** Makes a layer again that the storage has lost. */
  readonly remake: (digest: Digest) => Promise<Remade>;
  /** Those that tags have here, of whose indexes none is removed; null where it is not known yet. */
  readonly ownPins: () => ReadonlySet<Pin> | null;
  readonly now: () => number;
  readonly log: Log;
}

/** Enough to hide a round trip to a far edge, few enough to leave the uplink to the pulls. */
const PARALLEL_UPLOADS = 4;

/**
 * Images of a moved tag share most records, which an edge need not be sent with each. What it took may
 * be gone from it again, which no refusal tells where only KV was emptied: so not for long.
 */
const TAKEN_LIFE_MS = 300_000;
const MAX_TAKEN = 10_000;

interface Contents {
  /** Null of an image that is not kept. */
  readonly manifest: Uint8Array | null;
  readonly records: readonly PackageRecord[];
  readonly lookups: readonly { readonly name: PackageName; readonly found: Found }[];
}

interface TakenRecord {
  readonly layers: number;
  readonly atMs: number;
}

export function createPusher({
  store,
  edge,
  packings,
  remake,
  ownPins,
  now,
  log,
}: PusherOptions): Pusher {
  let taken = recentValues<TakenRecord>(MAX_TAKEN);

  return async (entry, onSent = () => {}) => {
    const count = countSent(onSent);
    try {
      return { kind: "pushed", uploads: await pushEntry(entry, count) };
    } catch (error) {
      if (error instanceof PushStopped) return error.outcome;
      throw error;
    }
  };

  async function pushEntry(entry: OutboxEntry, count: SentCount): Promise<number> {
    if (!("packageIndex" in entry)) {
      return "index" in entry ? await pushIndex(entry, count) : await pushImage(entry, count);
    }
    const objects = await pushPackageIndex({ store, edge, log }, entry);
    await succeed(edge.postPointers({ tag: tagAt(entry), image: null }));
    await removeOldIndexes();
    return objects;
  }

  async function removeOldIndexes(): Promise<void> {
    const own = ownPins();
    if (own === null) return;
    const remove = async (keys: readonly string[]) => {
      for (let first = 0; first < keys.length; first += MAX_REMOVALS_PER_BODY) {
        const some = keys.slice(first, first + MAX_REMOVALS_PER_BODY);
        await succeed(edge.postRemovals({ store: "kv", keys: some, storedBeforeMs: null }));
      }
    };
    const atEdge = { url: edge.url, remove };
    const removed = await removeOld({ store, own, nowMs: now(), atEdge });
    if (removed.roots > 0) log.info(removed, "removed indexes of pins that no tag has any more");
  }

  function tagAt({ tag, pin, resolvedAtMs }: OutboxEntry): PointersBody["tag"] {
    return {
      tag,
      pins: { pins: [{ pin, resolvedAtMs }], packings, composeVersion: COMPOSE_VERSION },
    };
  }

  async function pushImage(entry: ImageEntry, count: SentCount): Promise<number> {
    const contents = await read(entry);
    const uploads = await pushBlobs(entry, contents.records, count);
    await pushDocuments(entry, contents);
    return uploads;
  }

  async function pushIndex(entry: IndexEntry, count: SentCount): Promise<number> {
    const bytes = entry.isKept ? await presentManifest(entry.index) : null;
    let uploads = 0;
    for (const image of entry.images) uploads += await pushImage(image, count);
    // What the pointers of its images say of the tag is all there is to say.
    if (bytes === null) return uploads;
    const { index: mediaType } = VARIANT_TYPES[entry.variant];
    await succeed(edge.putManifest(entry.index, mediaType, bytes));
    await pushPointers(entry, entry.index, entry.omitted);
    return uploads;
  }

  async function read(entry: ImageEntry): Promise<Contents> {
    const manifest = entry.isKept ? await presentManifest(entry.manifest) : null;
    const records = await Promise.all(
      entry.parts.map(async (part) => {
        const key = storageKey.record(entry.packing, part);
        const record = parsePackageRecord(await json(key));
        return record ?? stop({ kind: "dropped", reason: `${key} is unreadable` });
      }),
    );
    const lookups = await Promise.all(
      entry.packages.map(async (name) => {
        const key = storageKey.lookup(entry.pin, entry.system, name);
        const found = parseFound(await json(key));
        return { name, found: found ?? stop({ kind: "dropped", reason: `${key} is unreadable` }) };
      }),
    );
    return { manifest, records, lookups };
  }

  /** One that is damaged would be refused for ever. */
  async function presentManifest(digest: Digest): Promise<Uint8Array> {
    const bytes = await storedManifest(store, digest);
    return bytes ?? stop({ kind: "dropped", reason: `${storageKey.manifest(digest)} is gone` });
  }

  async function present(key: StorageKey): Promise<Uint8Array> {
    const bytes = await store.lookup(key);
    return bytes ?? stop({ kind: "dropped", reason: `${key} is gone` });
  }

  async function json(key: StorageKey): Promise<unknown> {
    return parseStoredJson(await present(key));
  }

  async function pushBlobs(
    entry: ImageEntry,
    records: readonly PackageRecord[],
    count: SentCount,
  ): Promise<number> {
    const sizes = new Map(
      records.flatMap(recordLayers).map((layer) => [layer.digest, layer.sizeBytes]),
    );
    count.expect(sizes.values());
    const layers = [...sizes.keys()];
    const popularity = popularityBlob(entry.packing) ?? [];
    const config = entry.isKept ? [entry.config] : [];
    const digests = [...new Set([...layers, ...config].concat(popularity))];
    let uploads = 0;
    let stopped = false;
    const queue = digests.values();
    const worker = async () => {
      for (const digest of queue) {
        if (stopped) return;
        try {
          if (await pushBlob(digest)) uploads += 1;
          count.sent(sizes.get(digest));
        } catch (error) {
          stopped = true;
          throw error;
        }
      }
    };
    // A push is over when nothing is under way any more: the next try would send the same blobs.
    const ended = await Promise.allSettled(Array.from({ length: PARALLEL_UPLOADS }, worker));
    for (const each of ended) if (each.status === "rejected") throw each.reason;
    return uploads;
  }

  /** Whether it had to be sent: what the edge once took is only sent again when the edge lacks it. */
  async function pushBlob(digest: Digest): Promise<boolean> {
    const marker = storageKey.pushed(edge.url, digest);
    if ((await store.sizeBytes(marker)) !== undefined) return false;
    let put = await putBlob(digest);
    if (put.kind === "refused" && (await removeDamaged(store, digest))) {
      log.error({ digest }, "a damaged layer is removed, and made again");
      put = await putBlob(digest);
    }
    await succeed(put);
    await store.remember(marker, new Uint8Array());
    log.debug({ digest }, "uploaded");
    return true;
  }

  async function putBlob(digest: Digest): Promise<PushResult> {
    const key = storageKey.layer(digest);
    const sizeBytes = (await store.sizeBytes(key)) ?? (await remadeBytes(digest));
    return await edge.putBlob({ digest, sizeBytes, open: (range) => store.open(key, range) });
  }

  async function remadeBytes(digest: Digest): Promise<number> {
    const remade = await remake(digest);
    if (remade.kind === "remade") return remade.layer.sizeBytes;
    const reason = `${storageKey.layer(digest)} is gone`;
    if (remade.kind === "gone") return stop({ kind: "dropped", reason });
    return stop({ kind: "retry", reason: `${reason}, and not made again: ${remade.kind}` });
  }

  async function pushDocuments(entry: ImageEntry, contents: Contents): Promise<void> {
    const unsent = contents.records.filter((record) => !wasTaken(record));
    for (const records of cutBodies(unsent, callsForRecords, MAX_RECORDS_PER_BODY)) {
      await succeed(edge.postRecords({ records }));
      for (const record of records) {
        taken.store(keyOf(record), {
          layers: recordLayers(record).length,
          atMs: performance.now(),
        });
      }
    }
    const { pin, system } = entry;
    for (const lookups of cutBodies(contents.lookups, callsForLookups, MAX_LOOKUPS_PER_BODY)) {
      await succeed(edge.postLookups({ pin, system, lookups }));
    }
    if (contents.manifest !== null) {
      const { manifest: mediaType } = VARIANT_TYPES[entry.variant];
      await succeed(edge.putManifest(entry.manifest, mediaType, contents.manifest));
    }
    await pushPointers(entry, entry.manifest, null);
  }

  function wasTaken(record: PackageRecord): boolean {
    const last = taken.lookup(keyOf(record));
    // A record only ever changes by layers that are added.
    const isSame = last?.layers === recordLayers(record).length;
    return isSame && performance.now() - last.atMs < TAKEN_LIFE_MS;
  }

  async function pushPointers(
    entry: ImageEntry | IndexEntry,
    digest: Digest,
    omitted: string | null,
  ): Promise<void> {
    const { recipe, tag, variant, pin, packing, resolvedAtMs, isKept } = entry;
    const image = { recipe, tag, variant, digest, pin, packing, resolvedAtMs, omitted };
    await succeed(edge.postPointers({ tag: tagAt(entry), image: isKept ? image : null }));
  }

  async function succeed(pushing: PushResult | Promise<PushResult>): Promise<void> {
    const result = await pushing;
    if (result.kind === "accepted") return;
    // Whatever it is, the edge may have lost what it took: the next try sends all of it.
    taken = recentValues<TakenRecord>(MAX_TAKEN);
    switch (result.kind) {
      case "blobs-missing":
        // The edge was emptied, or lost them: they are sent again with the next try.
        for (const digest of result.digests)
          await store.remove(storageKey.pushed(edge.url, digest));
        return stop({ kind: "retry", reason: `the edge lacks ${result.digests.length} blobs` });
      case "refused":
      case "unreachable":
        return stop({ kind: "retry", reason: result.message });
      default:
        return result satisfies never;
    }
  }
}

interface SentCount {
  expect(sizes: Iterable<number>): void;
  /** Undefined for what is no layer. */
  sent(sizeBytes: number | undefined): void;
}

function countSent(onSent: (layers: LayersDone) => void): SentCount {
  let layers: LayersDone = { done: 0, expected: 0, doneBytes: 0, expectedBytes: 0 };
  return {
    expect(sizes) {
      let { expected, expectedBytes } = layers;
      for (const sizeBytes of sizes) {
        expected += 1;
        expectedBytes += sizeBytes;
      }
      layers = { ...layers, expected, expectedBytes };
      onSent(layers);
    },
    sent(sizeBytes) {
      if (sizeBytes === undefined) return;
      const { done, doneBytes } = layers;
      layers = { ...layers, done: done + 1, doneBytes: doneBytes + sizeBytes };
      onSent(layers);
    },
  };
}

function keyOf(record: PackageRecord): StorageKey {
  return storageKey.record(record.packing, record);
}
