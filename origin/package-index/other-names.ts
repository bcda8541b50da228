// Which of the attributes that lead to one package is the one that it is known by: one of the set itself
// rather than of a set in it, then the shortest, then the first by its bytes.

import { compare } from "../../registry/naming/compare.ts";
import type { IndexEntry } from "../../registry/package-index/shard.ts";

/** All the others say of which they are another name. */
export function nameOthers(entries: readonly IndexEntry[]): readonly IndexEntry[] {
  const known = new Map<string, string>();
  for (const { attribute, said } of entries) {
    const key = packageKey(said);
    const best = key === undefined ? undefined : known.get(key);
    if (key !== undefined && (best === undefined || isBetter(attribute, best))) {
      known.set(key, attribute);
    }
  }
  return entries.map((entry) => {
    const also = known.get(packageKey(entry.said) ?? "");
    return also === undefined || also === entry.attribute ? entry : { ...entry, also };
  });
}

function packageKey(said: IndexEntry["said"]): string | undefined {
  if (said.kind !== "found") return undefined;
  return [said.derivation, ...said.outputs.flatMap(({ name, path }) => [name, path])].join(" ");
}

function isBetter(a: string, b: string): boolean {
  return (depthOf(a) - depthOf(b) || a.length - b.length || compare(a, b)) < 0;
}

function depthOf(attribute: string): number {
  return attribute.split(".").length;
}
