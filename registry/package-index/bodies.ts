// What of an index the origin sends to its edge: objects one behind the other, as they are compressed; patches
// and the root as compressed JSON. And how much of it one body may hold.

import * as v from "valibot";
import { MAX_CALLS_PER_BODY } from "../between/backfill.ts";
import { parseJson } from "../http/json.ts";
import { type Digest, digestHex, toDigest } from "../naming/digest.ts";
import { pack, unpack } from "./gzip.ts";
import { type IndexPatch, parsePatch, patchJson } from "./patch.ts";
import type { IndexRoot, StoredObject } from "./root.ts";

/** Of what is in an object: an edge, which has 128 MiB for all that it does, unpacks it to see its digest. */
export const MAX_OBJECT_BYTES = 24 * 1024 * 1024;
/** Of what is in an object that is patched, which is parsed and written anew. */
export const MAX_PATCHED_BYTES = 4 * 1024 * 1024;
/** A larger object is alone in its body. */
const AIMED_BODY_BYTES = 2 * 1024 * 1024;
/** Of all patches of a body, before they are compressed. */
const MAX_PATCHES_BYTES = 32 * 1024 * 1024;

/** Each object is put. */
export const MAX_OBJECTS_PER_BODY = MAX_CALLS_PER_BODY;
/** What a patch is of is read, what it makes is put. */
export const MAX_PATCHES_PER_BODY = MAX_CALLS_PER_BODY / 2;

export interface PackedObject {
  /** Of what is in it. */
  readonly digest: Digest;
  readonly packed: Uint8Array;
}

const DIGEST_BYTES = 32;
const LENGTH_BYTES = 4;
const HEAD_BYTES = DIGEST_BYTES + LENGTH_BYTES;

/** Before the bytes of each object stand its digest's and how many they are. */
export function encodeObjects(objects: readonly PackedObject[]): Uint8Array {
  const sizeBytes = objects.reduce((sum, { packed }) => sum + HEAD_BYTES + packed.length, 0);
  const body = new Uint8Array(sizeBytes);
  let at = 0;
  for (const { digest, packed } of objects) {
    const hex = digestHex(digest);
    for (let byte = 0; byte < DIGEST_BYTES; byte += 1) {
      body[at + byte] = Number.parseInt(hex.slice(2 * byte, 2 * byte + 2), 16);
    }
    new DataView(body.buffer).setUint32(at + DIGEST_BYTES, packed.length);
    body.set(packed, at + HEAD_BYTES);
    at += HEAD_BYTES + packed.length;
  }
  return body;
}

/** Undefined for a body that is cut short, or of nothing or too many. */
export function parseObjects(body: Uint8Array): readonly PackedObject[] | undefined {
  const objects: PackedObject[] = [];
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  let at = 0;
  while (at < body.length && objects.length < MAX_OBJECTS_PER_BODY) {
    if (at + HEAD_BYTES > body.length) return undefined;
    const digest = toDigest(Uint8Array.from(body.subarray(at, at + DIGEST_BYTES)).buffer);
    const start = at + HEAD_BYTES;
    at = start + view.getUint32(at + DIGEST_BYTES);
    if (at > body.length) return undefined;
    objects.push({ digest, packed: body.subarray(start, at) });
  }
  return at === body.length && objects.length > 0 ? objects : undefined;
}

const patchesSchema = v.object({
  patches: v.pipe(v.array(v.unknown()), v.minLength(1), v.maxLength(MAX_PATCHES_PER_BODY)),
});

export function encodePatches(patches: readonly IndexPatch[]): Promise<Uint8Array> {
  return pack(new TextEncoder().encode(JSON.stringify({ patches: patches.map(patchJson) })));
}

export async function parsePatches(body: Uint8Array): Promise<readonly IndexPatch[] | undefined> {
  const bytes = await unpack(body, MAX_PATCHES_BYTES);
  const parsed = v.safeParse(patchesSchema, bytes && parseJson(bytes));
  if (!parsed.success) return undefined;
  const patches = parsed.output.patches.flatMap((json) => parsePatch(json) ?? []);
  return patches.length === parsed.output.patches.length ? patches : undefined;
}

/** In their order, as many in each body as it may hold. */
export function cutBySize<Item>(
  items: readonly Item[],
  maxItems: number,
  sizeOf: (item: Item) => number,
  aimedBytes = AIMED_BODY_BYTES,
): readonly (readonly Item[])[] {
  const bodies: Item[][] = [];
  let bytes = 0;
  for (const item of items) {
    const last = bodies.at(-1);
    const size = sizeOf(item);
    if (last === undefined || last.length === maxItems || bytes + size > aimedBytes) {
      bodies.push([item]);
      bytes = size;
    } else {
      last.push(item);
      bytes += size;
    }
  }
  return bodies;
}

/** All objects that a root names, each once. */
export function objectsOf({ shards, names, texts }: IndexRoot): readonly StoredObject[] {
  const all = [...shards, names, texts].map(({ digest, sizeBytes }) => ({ digest, sizeBytes }));
  return [...new Map(all.map((object) => [object.digest, object])).values()];
}
