// All objects of an index, of the entries that it has: the same bytes for the same entries.

import { type Digest, digestOf } from "../naming/digest.ts";
import { cutShards } from "./cut-shards.ts";
import { foldAttribute } from "./fold.ts";
import { encodeNames } from "./names.ts";
import type { IndexObject, ObjectKind } from "./patch.ts";
import { type IndexedSet, type IndexRoot, type ShardRef, sortSets } from "./root.ts";
import { encodeShard, type IndexEntry, sortEntries } from "./shard.ts";
import { encodeTexts, textsOf } from "./texts.ts";

export interface IndexContents
  extends Pick<IndexRoot, "pin" | "system" | "isComplete" | "madeAtMs" | "images" | "sets"> {
  /** Of all attributes of the set and of its listed sets but those in `sets`, in any order. */
  readonly entries: readonly IndexEntry[];
}

export interface MadeIndex {
  readonly root: IndexRoot;
  readonly objects: readonly IndexObject[];
}

export async function makeIndex({ entries, ...contents }: IndexContents): Promise<MadeIndex> {
  const shards: { readonly from: string; readonly object: IndexObject }[] = [];
  for (const [place, shard] of cutShards(sortEntries(entries)).entries()) {
    const from = place === 0 ? "" : foldAttribute(shard[0]?.attribute ?? "");
    shards.push({ from, object: await objectOf("shard", encodeShard(shard)) });
  }
  const paths = contents.sets.map(({ path }) => path);
  const attributes = [...entries.map(({ attribute }) => attribute), ...paths];
  const names = await objectOf("names", encodeNames(attributes));
  const texts = await objectOf("texts", encodeTexts(textsOf(entries)));
  return {
    root: {
      ...contents,
      images: contents.images.toSorted(),
      count: entries.length,
      sets: sortSets(aloneSpelled(contents.sets, attributes)),
      shards: shards.map(({ from, object }): ShardRef => ({ from, ...refTo(object) })),
      names: refTo(names),
      texts: refTo(texts),
    },
    objects: [...shards.map(({ object }) => object), names, texts],
  };
}

/** Names below a set that shares its spelling may be below the other attribute too, of which nothing is known. */
function aloneSpelled(
  sets: readonly IndexedSet[],
  attributes: readonly string[],
): readonly IndexedSet[] {
  const counts = new Map<string, number>();
  for (const attribute of attributes) {
    const fold = foldAttribute(attribute);
    counts.set(fold, (counts.get(fold) ?? 0) + 1);
  }
  const isAlone = ({ path }: IndexedSet) => counts.get(foldAttribute(path)) === 1;
  return sets.map((set) => (isAlone(set) ? set : { ...set, isListed: false }));
}

async function objectOf(kind: ObjectKind, bytes: Uint8Array): Promise<IndexObject> {
  return { kind, digest: await digestOf(bytes), bytes };
}

function refTo({ digest, bytes }: IndexObject): { digest: Digest; sizeBytes: number } {
  return { digest, sizeBytes: bytes.length };
}
