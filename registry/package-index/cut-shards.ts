// Where one shard ends and the next begins: said by the attributes themselves, so that one more or less
// moves the boundaries beside it and no others, and what did not change has the digest that it had.

import { foldAttribute } from "./fold.ts";
import type { IndexEntry } from "./shard.ts";

/** Fewer would be more reads than what they save. */
const MIN_MEAN_ENTRIES = 64;
/** Of which a root has a line each. */
const AIMED_SHARDS = 320;
/** What lies between them is left to the attributes. */
const SPREAD = 4;

/** Of entries in order, each cut with at least one; all of one spelling are in one. */
export function cutShards(entries: readonly IndexEntry[]): readonly (readonly IndexEntry[])[] {
  const mean = meanEntries(entries.length);
  const shards: IndexEntry[][] = [];
  let last = "";
  for (const entry of entries) {
    const fold = foldAttribute(entry.attribute);
    const shard = shards.at(-1);
    if (shard === undefined || (fold !== last && isEnd(shard.length, fold, mean))) {
      shards.push([entry]);
    } else shard.push(entry);
    last = fold;
  }
  return shards;
}

/** A power of two, so that half of the boundaries stay where a set grows beyond one. */
function meanEntries(count: number): number {
  let mean = MIN_MEAN_ENTRIES;
  while (mean * AIMED_SHARDS < count) mean *= 2;
  return mean;
}

function isEnd(length: number, next: string, mean: number): boolean {
  if (length < mean / SPREAD) return false;
  return length >= mean * SPREAD || (hashOf(next) & (mean - 1)) === 0;
}

/** FNV-1a with the finish of MurmurHash3, without which its low bits are few texts' own. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}
