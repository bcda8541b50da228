// What a stored value names, which must be there before it is: the one place that knows the arrows
// between the collections of origin/storage/keys.ts.

import { parseJson } from "../../registry/http/json.ts";
import { outputPathsOf, parseFound } from "../../registry/image/lookup.ts";
import { parseManifest } from "../../registry/image/named-blobs.ts";
import { outputsBrought } from "../../registry/image/part.ts";
import { parsePackageRecord, popularityBlob, recordLayers } from "../../registry/image/record.ts";
import type { Digest } from "../../registry/naming/digest.ts";
import type { StorePath } from "../../registry/naming/store-path.ts";
import { objectsOf } from "../../registry/package-index/bodies.ts";
import { parseRoot } from "../../registry/package-index/root.ts";
import { type ImageEntry, outboxKeyOf, parseOutboxEntry } from "../backfill/entry.ts";
import { type StorageKey, type StoredKey, storageKey } from "../storage/keys.ts";
import { parseStoredJson } from "../storage/stored-json.ts";

export type Named =
  | {
      readonly kind: "value";
      readonly key: StorageKey;
      /** Null where nothing says. */
      readonly sizeBytes: number | null;
    }
  /** A record of this output, in whatever packing and part. */
  | { readonly kind: "record-of"; readonly output: StorePath };

export type Reading =
  | {
      readonly kind: "names";
      readonly names: readonly Named[];
      /** What it is a record of. */
      readonly outputs: readonly StorePath[];
    }
  /** It is nothing that was ever stored under such a key. */
  | { readonly kind: "unreadable" };

/** What is behind an arrow may be gone: it is made again, or packed once more, by whoever needs it. */
const FREE_TO_LEAD_NOWHERE: Reading = { kind: "names", names: [], outputs: [] };
const UNREADABLE: Reading = { kind: "unreadable" };

export function namedBy(key: StorageKey, { collection }: StoredKey, bytes: Uint8Array): Reading {
  switch (collection) {
    case "layers":
    case "pushed":
    case "index-objects":
    case "index-slices":
      return FREE_TO_LEAD_NOWHERE;
    case "manifests":
      return ofManifest(bytes);
    case "records":
      return ofRecord(key, bytes);
    case "lookups":
      return ofLookup(bytes);
    case "outbox":
      return ofOutboxEntry(key, bytes);
    case "index":
      return ofIndexRoot(key, bytes);
    case "popularity":
    case "pins":
    case "answered":
    case "builds":
    case "segments":
    case "makings":
    case "asked":
    case "tracked":
    case "pulls":
    case "pinned":
      return parseStoredJson(bytes) === undefined ? UNREADABLE : FREE_TO_LEAD_NOWHERE;
    default:
      return collection satisfies never;
  }
}

function ofManifest(bytes: Uint8Array): Reading {
  const manifest = parseManifest(parseJson(bytes));
  if (manifest === undefined) return UNREADABLE;
  return manifest.kind === "index"
    ? named(
        manifest.manifests.map((each) => value(storageKey.manifest(each.digest), each.sizeBytes)),
      )
    : named(manifest.blobs.map((each) => layer(each.digest, each.sizeBytes)));
}

function ofRecord(key: StorageKey, bytes: Uint8Array): Reading {
  const record = parsePackageRecord(parseStoredJson(bytes));
  if (record === undefined || storageKey.record(record.packing, record) !== key) return UNREADABLE;
  const popularity = popularityBlob(record.packing);
  const layers = recordLayers(record).map(({ digest, sizeBytes }) => layer(digest, sizeBytes));
  return named(
    [...layers, ...(popularity === null ? [] : [layer(popularity, null)])],
    outputsBrought(record),
  );
}

function ofLookup(bytes: Uint8Array): Reading {
  const found = parseFound(parseStoredJson(bytes));
  if (found === undefined) return UNREADABLE;
  return named(outputPathsOf(found).map((output) => ({ kind: "record-of", output })));
}

function ofOutboxEntry(key: StorageKey, bytes: Uint8Array): Reading {
  const entry = parseOutboxEntry(bytes);
  if (entry === undefined) return UNREADABLE;
  if (outboxKeyOf(entry) !== key) return UNREADABLE;
  if ("packageIndex" in entry) {
    return named([value(storageKey.index(entry.pin, entry.packageIndex.system), null)]);
  }
  if (!("index" in entry)) return named(ofImageEntry(entry));
  const index = entry.isKept ? [value(storageKey.manifest(entry.index), null)] : [];
  return named([...index, ...entry.images.flatMap(ofImageEntry)]);
}

function ofImageEntry(entry: ImageEntry) {
  const { isKept, manifest, config, packing, parts, pin, system, packages } = entry;
  return [
    ...(isKept ? [value(storageKey.manifest(manifest), null), layer(config, null)] : []),
    ...parts.map((part) => value(storageKey.record(packing, part), null)),
    ...packages.map((name) => value(storageKey.lookup(pin, system, name), null)),
  ];
}

/** In which size its objects lie there the root does not say: it knows what is in them. */
function ofIndexRoot(key: StorageKey, bytes: Uint8Array): Reading {
  const root = parseRoot(parseStoredJson(bytes));
  if (root === undefined || storageKey.index(root.pin, root.system) !== key) return UNREADABLE;
  return named(objectsOf(root).map(({ digest }) => value(storageKey.indexObject(digest), null)));
}

function named(names: readonly Named[], outputs: readonly StorePath[] = []): Reading {
  return { kind: "names", names, outputs };
}

function layer(digest: Digest, sizeBytes: number | null): Named {
  return value(storageKey.layer(digest), sizeBytes);
}

function value(key: StorageKey, sizeBytes: number | null): Named {
  return { kind: "value", key, sizeBytes };
}
