// Every key of the origin's storage:
//
//   layers/<sha256 hex>                      a layer, a config or popularity data, by digest of the bytes
//   manifests/<sha256 hex>                   a manifest or an index, by digest
//   builds/<sha256 hex>                      JSON LayerRecord of a bundle, by packer and contents
//   segments/<packer>/<hash>-<name>          JSON of the layer and the place in it where the path lies
//   makings/<sha256 hex>                     JSON of what a layer is made of, by its digest
//   records/<packing>/<hash>-<name>          JSON PackageRecord of a package with one output
//   records/<packing>/<sha256 hex>           of any other part, by its outputs
//   lookups/<pin>/<system>/<package name>    JSON Found whose records are stored
//   asked/<pin>/<system>/<slot>              JSON of a name and its Lookup, found or not (asked-names.ts)
//   pins/<sha256 hex>                        JSON of what a tag of a source last resolved to, and last loaded at
//   answered/<sha256 hex>                    JSON of the pins at which images of a source were answered
//   index/<pin>/<system>                     JSON of the root of a package index: which objects it is made of
//   index-objects/<sha256 hex>               gzip of one of them, by digest of what is in it (stored-index.ts)
//   index-slices/<pin>/<system>/<n>          a part of a package index that is being made, and who makes it
//   popularity/<sha256 hex>                  popularity data of a source or a URL, as their file has them
//   tracked/<sha256 hex>                     JSON of the images of a source that were pulled lately
//   pulls/<day>/<uuid>                       JSON of the images an origin answered that day, and when (pulled/)
//   pinned/<sha256 hex>                      JSON of an image that an operator has named, to be kept (pulled/)
//   outbox/<sha256 hex>                      JSON of an image or a package index the edge has yet to be given
//   pushed/<sha256 hex>                      empty: the edge said it holds this blob or object of an index
//   staging/<uuid>/…                         unfinished files of a process; those of dead ones are removed
//
// JSON and popularity data have a checksum behind them (stored-json.ts), but where the name of a value is
// its digest.
//
// Nixery's `layers/` keeps its meaning, so its bucket can be taken over. Deleting any collection is
// safe while the origin is stopped: what is missing is made again. Order of writing: layers, records,
// lookups, config, manifest; and of a package index its objects, then its root; so nothing names what is not
// there yet.

import { createHash } from "node:crypto";
import { loneOutput, type Part, partName } from "../../registry/image/part.ts";
import { type PackingId, parsePackingId } from "../../registry/image/record.ts";
import { type Digest, digestHex, parseDigest } from "../../registry/naming/digest.ts";
import { type Pin, parsePin } from "../../registry/naming/pin.ts";
import { type PackageName, SYSTEMS, type System } from "../../registry/naming/recipe.ts";
import type { Tag } from "../../registry/naming/reference.ts";
import { parseStorePath, type StorePath, storePathBase } from "../../registry/naming/store-path.ts";

declare const storageKeyBrand: unique symbol;
export type StorageKey = string & { readonly [storageKeyBrand]: "StorageKey" };

/** What is relied on: where it is on disk, all that it names is. The others are cheap to find out again. */
export const LASTING = [
  "layers",
  "manifests",
  "records",
  "lookups",
  "pins",
  "answered",
  "popularity",
  "outbox",
] as const;
export const REMEMBERED = [
  "builds",
  "segments",
  "makings",
  "asked",
  "tracked",
  "pulls",
  "pushed",
] as const;
/** What a person has said: as lasting, but nothing that a pull stores. */
export const SAID = ["pinned"] as const;
/** Of whole package sets, made behind everything else: pulls get on without. */
export const INDEXED = ["index", "index-objects", "index-slices"] as const;
export const COLLECTIONS = [...LASTING, ...REMEMBERED, ...SAID, ...INDEXED] as const;
export type Collection = (typeof COLLECTIONS)[number];

/** What may be listed. */
export type StoragePrefix = `${Collection}/`;

/**
 * What is an origin's own, though others keep all else in the same place: what it has yet to give its
 * edge and has given it, and what was pulled from it.
 */
const OWN_COLLECTIONS: ReadonlySet<Collection> = new Set(["tracked", "outbox", "pushed"]);

export function isOwn(key: StorageKey | StoragePrefix): boolean {
  const [collection] = key.split("/");
  return (OWN_COLLECTIONS as ReadonlySet<string | undefined>).has(collection);
}

export const storageKey = {
  layer: (digest: Digest) => key(`layers/${digestHex(digest)}`),
  manifest: (digest: Digest) => key(`manifests/${digestHex(digest)}`),
  /** `viewOf`: the part whose view lies in it too. */
  build: (packer: string, storePaths: readonly StorePath[], viewOf: Part | null) =>
    key(`builds/${hashOf([packer, ...storePaths, "", viewOf === null ? "" : partName(viewOf)])}`),
  segment: (packer: string, path: StorePath) => key(`segments/${packer}/${storePathBase(path)}`),
  making: (digest: Digest) => key(`makings/${digestHex(digest)}`),
  record: (packing: PackingId, part: Part) => key(`records/${packing}/${recordName(part)}`),
  lookup: (pin: Pin, system: System, name: PackageName) => key(`lookups/${pin}/${system}/${name}`),
  asked: (pin: Pin, system: System, name: PackageName, slots: number) =>
    key(`asked/${pin}/${system}/${Number.parseInt(hashOf([name]).slice(0, 8), 16) % slots}`),
  pin: (sourceId: string, tag: Tag) => key(`pins/${hashOf([sourceId, tag])}`),
  answered: (sourceId: string) => key(`answered/${hashOf([sourceId])}`),
  index: (pin: Pin, system: System) => key(`index/${pin}/${system}`),
  indexObject: (digest: Digest) => key(`index-objects/${digestHex(digest)}`),
  indexSlice: (pin: Pin, system: System, place: number) =>
    key(`index-slices/${pin}/${system}/${place}`),
  popularity: (from: string) => key(`popularity/${hashOf([from])}`),
  tracked: (sourceId: string) => key(`tracked/${hashOf([sourceId])}`),
  pulls: (day: string, id: string) => key(`pulls/${day}/${id}`),
  pinned: (image: string) => key(`pinned/${hashOf([image])}`),
  outbox: (recipe: string, tag: Tag, variant: string) =>
    key(`outbox/${hashOf([recipe, tag, variant])}`),
  /** Of a package index; no recipe is empty. */
  outboxIndex: (tag: Tag, system: System) => key(`outbox/${hashOf(["", tag, system])}`),
  pushed: (edgeUrl: string, digest: Digest) => key(`pushed/${hashOf([edgeUrl, digest])}`),
};

function recordName(part: Part): string {
  const output = loneOutput(part);
  return output === undefined ? hashOf([partName(part)]) : storePathBase(output);
}

/** Parts are kept apart by a byte none of them can hold, so that no two lists hash alike. */
function hashOf(parts: readonly string[]): string {
  return createHash("sha256").update(parts.join("\0")).digest("hex");
}

function key(text: string): StorageKey {
  return text as StorageKey;
}

/** What a key is of; undefined for what no key of this file is. */
export type StoredKey =
  | {
      readonly collection: "layers" | "manifests" | "makings" | "index-objects";
      readonly digest: Digest;
    }
  | {
      readonly collection: "records";
      readonly packing: PackingId;
      /** Null of a record whose name stands for several outputs. */
      readonly output: StorePath | null;
    }
  | {
      readonly collection: "lookups";
      readonly pin: Pin;
      readonly system: System;
      readonly name: PackageName;
    }
  | { readonly collection: "asked"; readonly pin: Pin }
  | {
      readonly collection: "index" | "index-slices";
      readonly pin: Pin;
      readonly system: System;
    }
  | {
      readonly collection: Exclude<
        Collection,
        | "layers"
        | "manifests"
        | "makings"
        | "records"
        | "lookups"
        | "asked"
        | "index"
        | "index-objects"
        | "index-slices"
      >;
    };

export function parseStorageKey(text: string): StoredKey | undefined {
  const [first = "", ...rest] = text.split("/");
  const collection = COLLECTIONS.find((each) => each === first);
  const [a = "", b = "", c = ""] = rest;
  switch (collection) {
    case "layers":
    case "manifests":
    case "makings":
    case "index-objects": {
      const digest = rest.length === 1 ? parseDigest(`sha256:${a}`) : undefined;
      return digest && { collection, digest };
    }
    case "records": {
      const packing = rest.length === 2 && b !== "" ? parsePackingId(a) : undefined;
      return packing && { collection, packing, output: parseStorePath(`/nix/store/${b}`) ?? null };
    }
    case "lookups": {
      const pin = rest.length === 3 && c !== "" ? parsePin(a) : undefined;
      const system = SYSTEMS.find((each) => each === b);
      return pin && system && { collection, pin, system, name: c as PackageName };
    }
    case "segments":
      return rest.length === 2 && b !== "" ? { collection } : undefined;
    case "asked": {
      const pin = rest.length === 3 && /^\d+$/.test(c) ? parsePin(a) : undefined;
      return pin && { collection, pin };
    }
    case "index":
    case "index-slices": {
      const isLong = collection === "index-slices";
      const isWhole = isLong ? rest.length === 3 && /^\d+$/.test(c) : rest.length === 2;
      const pin = isWhole ? parsePin(a) : undefined;
      const system = SYSTEMS.find((each) => each === b);
      return pin && system && { collection, pin, system };
    }
    case "pulls":
      return rest.length === 2 && /^\d{4}-\d\d-\d\d$/.test(a) && /^[0-9a-f-]{36}$/.test(b)
        ? { collection }
        : undefined;
    case "builds":
    case "pins":
    case "answered":
    case "popularity":
    case "tracked":
    case "outbox":
    case "pushed":
    case "pinned":
      return rest.length === 1 && /^[0-9a-f]{64}$/.test(a) ? { collection } : undefined;
    case undefined:
      return undefined;
    default:
      return collection satisfies never;
  }
}

/** For listings only: the names a store itself made from keys of this file. */
export function listedKey(text: string): StorageKey {
  return key(text);
}
