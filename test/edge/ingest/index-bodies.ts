// Two package indexes, the later with some packages at other versions, and what an origin sends of them.

import type { Pin } from "../../../registry/naming/pin.ts";
import {
  encodeObjects,
  encodePatches,
  MAX_OBJECTS_PER_BODY,
  MAX_PATCHES_PER_BODY,
} from "../../../registry/package-index/bodies.ts";
import { pack } from "../../../registry/package-index/gzip.ts";
import { type MadeIndex, makeIndex } from "../../../registry/package-index/make-index.ts";
import { type IndexPatch, patchBetween } from "../../../registry/package-index/patch.ts";
import { encodeRoot, type IndexRoot } from "../../../registry/package-index/root.ts";
import type { IndexEntry } from "../../../registry/package-index/shard.ts";
import { pinOf } from "../../registry/fixture.ts";
import { madeUpSet } from "../../registry/package-index/made-up-set.ts";

export const PINS = [pinOf("a".repeat(40)), pinOf("b".repeat(40))] as const;
const SYSTEM = "x86_64-linux";

export interface TwoIndexes {
  readonly first: MadeIndex;
  readonly second: MadeIndex;
  /** From the first to the second. */
  readonly patches: readonly IndexPatch[];
}

export async function twoIndexes(names = 400): Promise<TwoIndexes> {
  const set = madeUpSet(names);
  const first = await indexOf(PINS[0], set.entries);
  const second = await indexOf(PINS[1], set.bumped(0.02, 8));
  const had = new Set(first.objects.map(({ digest }) => digest));
  const patches = second.objects
    .filter(({ digest }) => !had.has(digest))
    .map((next) => {
      const at = second.root.shards.findIndex(({ digest }) => digest === next.digest);
      const base = first.objects.find(({ digest }) => digest === first.root.shards[at]?.digest);
      return patchBetween(base ?? null, next);
    });
  return { first, second, patches };
}

export function indexOf(pin: Pin, entries: readonly IndexEntry[]): Promise<MadeIndex> {
  const sets = [{ path: "python3Packages", isListed: true }];
  const isComplete = true;
  return makeIndex({
    ...{ pin, system: SYSTEM, isComplete, madeAtMs: 1, images: [], sets, entries },
  });
}

export async function objectsBody(objects: MadeIndex["objects"]): Promise<Uint8Array> {
  const packed = objects
    .slice(0, MAX_OBJECTS_PER_BODY)
    .map(async ({ digest, bytes }) => ({ digest, packed: await pack(bytes) }));
  return encodeObjects(await Promise.all(packed));
}

export const patchesBody = (patches: readonly IndexPatch[]): Promise<Uint8Array> =>
  encodePatches(patches.slice(0, MAX_PATCHES_PER_BODY));

export const rootBody = (root: IndexRoot): Promise<Uint8Array> => pack(encodeRoot(root));
