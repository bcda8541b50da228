// A package index at rest: objects under the digests of what is in them, gzip, and a root for each pin and
// system that names them and is stored last. What cannot be unpacked to its digest counts as absent.

import { hash } from "node:crypto";
import { promisify } from "node:util";
import { gunzip, gzip } from "node:zlib";
import * as v from "valibot";
import { digestSchema } from "../../registry/image/record.ts";
import { type Digest, digestHex } from "../../registry/naming/digest.ts";
import { type Pin, pinSchema } from "../../registry/naming/pin.ts";
import { SYSTEMS, type System } from "../../registry/naming/recipe.ts";
import type { BlobStore } from "./blob-store.ts";
import { storageKey } from "./keys.ts";
import { parseStoredJson, storedJson } from "./stored-json.ts";

const pack = promisify(gzip);
const unpack = promisify(gunzip);

/** Of what is in an object, so that no edge has to hold more than it has room for. */
export const MAX_INDEX_OBJECT_BYTES = 24 * 1024 * 1024;

/** As a root names it: of the bytes before they are compressed. */
export interface IndexObject {
  readonly digest: Digest;
  readonly sizeBytes: number;
}

/** What of a root this file needs. */
export interface NamesObjects {
  readonly pin: Pin;
  readonly system: System;
  readonly shards: readonly IndexObject[];
  readonly names: IndexObject;
  readonly texts: IndexObject;
}

const objectSchema: v.GenericSchema<unknown, IndexObject> = v.object({
  digest: digestSchema,
  sizeBytes: v.pipe(v.number(), v.safeInteger(), v.minValue(0), v.maxValue(MAX_INDEX_OBJECT_BYTES)),
});
const namesObjectsSchema: v.GenericSchema<unknown, NamesObjects> = v.object({
  pin: pinSchema,
  system: v.picklist(SYSTEMS),
  shards: v.array(objectSchema),
  names: objectSchema,
  texts: objectSchema,
});

export function parseNamesObjects(json: unknown): NamesObjects | undefined {
  const parsed = v.safeParse(namesObjectsSchema, json);
  return parsed.success ? parsed.output : undefined;
}

export function objectsOf({ shards, names, texts }: NamesObjects): readonly IndexObject[] {
  const all = [...shards, names, texts];
  return [...new Map(all.map((object) => [object.digest, object])).values()];
}

/**
 * Also over one that is there: so it is young again, and no sweep takes it before its root is stored, and
 * one that was damaged is whole again.
 */
export async function storeIndexObject(
  store: Pick<BlobStore, "store">,
  bytes: Uint8Array,
): Promise<IndexObject> {
  if (bytes.length > MAX_INDEX_OBJECT_BYTES) {
    throw new Error(`an object of a package index of ${bytes.length} bytes`);
  }
  const digest = `sha256:${hash("sha256", bytes)}` as Digest;
  await store.store(storageKey.indexObject(digest), await pack(bytes, { level: 9 }));
  return { digest, sizeBytes: bytes.length };
}

/** What is in it. */
export async function lookUpIndexObject(
  store: Pick<BlobStore, "lookup">,
  digest: Digest,
): Promise<Uint8Array | undefined> {
  const packed = await store.lookup(storageKey.indexObject(digest));
  return packed && (await unpackIndexObject(packed, digest));
}

/** Undefined where anything of it was changed. */
export async function unpackIndexObject(
  packed: Uint8Array,
  digest: Digest,
): Promise<Uint8Array | undefined> {
  try {
    const bytes = await unpack(packed, { maxOutputLength: MAX_INDEX_OBJECT_BYTES });
    return hash("sha256", bytes) === digestHex(digest) ? bytes : undefined;
  } catch {
    // No gzip any more, or of more than was ever stored.
    return undefined;
  }
}

/** Nothing is stored where objects are missing: these it gives. */
export async function storeIndexRoot(
  store: Pick<BlobStore, "store" | "sizeBytes">,
  root: NamesObjects,
): Promise<readonly Digest[]> {
  const missing: Digest[] = [];
  for (const { digest } of objectsOf(root)) {
    const sizeBytes = await store.sizeBytes(storageKey.indexObject(digest));
    if (sizeBytes === undefined) missing.push(digest);
  }
  if (missing.length === 0) {
    await store.store(storageKey.index(root.pin, root.system), storedJson(root));
  }
  return missing;
}

/** JSON as it was stored; undefined where there is none. */
export async function lookUpIndexRoot(
  store: Pick<BlobStore, "lookup">,
  pin: Pin,
  system: System,
): Promise<unknown> {
  const bytes = await store.lookup(storageKey.index(pin, system));
  return bytes && parseStoredJson(bytes);
}
