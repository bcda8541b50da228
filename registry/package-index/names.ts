// The names of an index, a line for each set that has them, the whole set first: what near names are sought
// among, and what a page searches as one text. The names are the set's own, which have no tab.

import { attributeName, attributePath } from "../naming/attribute.ts";
import { compare } from "../naming/compare.ts";
import { canBeNamed } from "./fold.ts";

const HEADER = "nixport names 1\n";
export const MAX_NAMES_BYTES = 64 * 1024 * 1024;

/** Of attributes as `attributeName` writes them, in any order, without repetition. */
export function encodeNames(attributes: readonly string[]): Uint8Array {
  const sets = new Map<string, string[]>();
  for (const attribute of attributes) {
    const path = attributePath(attribute);
    const name = path.at(-1);
    if (name === undefined || !canBeNamed(path)) {
      throw new Error(`no name can say ${JSON.stringify(attribute)}`);
    }
    const set = attributeName(path.slice(0, -1));
    const known = sets.get(set);
    if (known === undefined) sets.set(set, [name]);
    else known.push(name);
  }
  const lines = [...sets]
    .sort(([a], [b]) => compare(a, b))
    .map(([set, names]) => `${[set, ...new Set(names.sort(compare))].join("\t")}\n`);
  return new TextEncoder().encode(HEADER + lines.join(""));
}

/** The text of what `encodeNames` gave; undefined for anything else. */
export function readNames(bytes: Uint8Array): string | undefined {
  if (bytes.length > MAX_NAMES_BYTES) return undefined;
  const text = new TextDecoder().decode(bytes);
  return text.startsWith(HEADER) && text.endsWith("\n") ? text : undefined;
}

/** What a set has, by bytes; `set` is "" for the whole set. */
export function namesIn(names: string, set: string): readonly string[] {
  const begin = `\n${set}\t`;
  const start = names.indexOf(begin, HEADER.length - 1);
  if (start < 0) return [];
  const end = names.indexOf("\n", start + begin.length);
  return names.slice(start + begin.length, end).split("\t");
}

/** All of them again. */
export function attributesIn(names: string): readonly string[] {
  return names
    .slice(HEADER.length, -1)
    .split("\n")
    .flatMap((line) => {
      const [set = "", ...own] = line.split("\t");
      const prefix = set === "" ? "" : `${set}.`;
      return own.map((name) => prefix + attributeName([name]));
    });
}
