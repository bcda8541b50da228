// A package index at rest: objects under the digests of what is in them, gzip, and a root for each pin and
// system that names them and is stored last. What cannot be unpacked to its digest counts as absent.

import { hash } from "node:crypto";
import { promisify } from "node:util";
import { gunzip, gzip } from "node:zlib";
import { type Digest, digestHex } from "../../registry/naming/digest.ts";
import type { Pin } from "../../registry/naming/pin.ts";
import type { System } from "../../registry/naming/recipe.ts";
import { MAX_OBJECT_BYTES } from "../../registry/package-index/bodies.ts";
import { type IndexRoot, parseRoot, type StoredObject } from "../../registry/package-index/root.ts";
import type { BlobStore } from "./blob-store.ts";
import { storageKey } from "./keys.ts";
import { parseStoredJson } from "./stored-json.ts";

const pack = promisify(gzip);
const unpack = promisify(gunzip);
const GZIP_FIRST_BYTE = 0x1f;
/** What Nix says of some thousand attributes, unpacked, is far below. */
const MAX_SLICE_BYTES = 256 * 1024 ** 2;

/**
 * Also over one that is there: so it is young again, and no sweep takes it before its root is stored, and
 * one that was damaged is whole again.
 */
export async function storeIndexObject(
  store: Pick<BlobStore, "store">,
  bytes: Uint8Array,
): Promise<StoredObject> {
  if (bytes.length > MAX_OBJECT_BYTES) {
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
    const bytes = await unpack(packed, { maxOutputLength: MAX_OBJECT_BYTES });
    return hash("sha256", bytes) === digestHex(digest) ? bytes : undefined;
  } catch {
    // No gzip any more, or of more than was ever stored.
    return undefined;
  }
}

export async function lookUpIndexRoot(
  store: Pick<BlobStore, "lookup">,
  pin: Pin,
  system: System,
): Promise<IndexRoot | undefined> {
  const bytes = await store.lookup(storageKey.index(pin, system));
  return bytes && parseRoot(parseStoredJson(bytes));
}

/** A slice of an index that is being made, which is gzip, or who makes it. */
export async function isWholeSlice(bytes: Uint8Array): Promise<boolean> {
  if (bytes[0] !== GZIP_FIRST_BYTE) return parseStoredJson(bytes) !== undefined;
  try {
    await unpack(bytes, { maxOutputLength: MAX_SLICE_BYTES });
    return true;
  } catch {
    return false;
  }
}
