// Slices to all objects of an index.

import { attributeName } from "../../registry/naming/attribute.ts";
import type { Pin } from "../../registry/naming/pin.ts";
import type { System } from "../../registry/naming/recipe.ts";
import { canBeNamed } from "../../registry/package-index/fold.ts";
import { type MadeIndex, makeIndex } from "../../registry/package-index/make-index.ts";
import type { IndexEntry } from "../../registry/package-index/shard.ts";
import type { SliceOfSet } from "../nix/lookup-json.ts";
import { nameOthers } from "./other-names.ts";

export interface Assembling {
  readonly pin: Pin;
  readonly system: System;
  readonly madeAtMs: number;
  /** Sets that ask for their attributes to be told, and are too large for it. */
  readonly left: readonly string[];
  /** How many attributes the slices tell of. */
  readonly attributes: number;
}

export interface Assembled extends MadeIndex {
  /** Of the entries, those that nothing was found out of. */
  readonly unexplained: number;
  readonly packages: number;
}

/** Of what several slices say the last counts. */
export async function assemble(
  slices: Iterable<SliceOfSet>,
  { left, attributes, ...of }: Assembling,
): Promise<Assembled> {
  const said = new Map<string, IndexEntry["said"]>();
  const sets = new Map<string, boolean>();
  let images: readonly string[] = [];
  for (const slice of slices) {
    for (const { path, said: each } of slice.entries) {
      said.set(attributeName(path), each.kind === "failed" ? { kind: "unexplained" } : each);
    }
    for (const { path, isListed } of slice.sets) {
      if (canBeNamed(path)) sets.set(attributeName(path), isListed);
    }
    if (slice.images.length > 0) images = slice.images;
  }
  // What is not in an index is told to be missing.
  if (said.size !== attributes) throw new Error(`${said.size} attributes instead of ${attributes}`);
  for (const set of left) if (sets.has(set)) sets.set(set, false);
  for (const set of sets.keys()) said.delete(set);
  const entries = nameOthers([...said].map(([attribute, each]) => ({ attribute, said: each })));
  const made = await makeIndex({
    ...of,
    isComplete: true,
    images,
    sets: [...sets].map(([path, isListed]) => ({ path, isListed })),
    entries,
  });
  const count = (is: (entry: IndexEntry) => boolean) => entries.filter(is).length;
  return {
    ...made,
    unexplained: count((entry) => entry.said.kind === "unexplained"),
    packages: count((entry) => entry.said.kind === "found" && entry.also === undefined),
  };
}
