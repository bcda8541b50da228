// A package's closure as a graph: an order of its paths, and what each of them reaches. Iterative,
// since closures hold thousands of paths and chains of any depth.

import type { Digest } from "../../registry/naming/digest.ts";
import type { StorePath } from "../../registry/naming/store-path.ts";
import { compareBytes } from "./byte-string.ts";

/** A closure as Nix's database has it: every path a reference names is in it. */
export type ClosureGraph = readonly ClosureNode[];

export interface ClosureNode {
  readonly path: StorePath;
  /** The path alone, without what it refers to. */
  readonly narSizeBytes: number;
  /** A reference to the path itself says nothing here, and is ignored. */
  readonly references: readonly StorePath[];
}

/** A closure with all that Nix's database says of its paths, whichever machine's it is. */
export type ValidClosure = readonly ValidPath[];

export interface ValidPath extends ClosureNode {
  /** Of the path's own NAR; null where a Nix writes it in a way that nobody has seen yet. */
  readonly narHash: Digest | null;
  readonly refersToItself: boolean;
}

/** The paths are known by their places in an order in which each comes after all that need it. */
export interface OrderedClosure {
  /** The root is the first. */
  readonly nodes: readonly ClosureNode[];
  /** By place: the places of what a path refers to, all of them later ones. */
  readonly references: readonly (readonly number[])[];
}

/** Throws unless `closure` is exactly what `root` reaches, without circles. */
export function orderClosure(closure: ClosureGraph, root: StorePath): OrderedClosure {
  const byPath = new Map(closure.map((node) => [node.path, node]));
  const nodes = topologicalOrder(byPath, root);
  if (nodes.length !== byPath.size) {
    throw new Error("the closure holds paths that its root does not refer to");
  }
  const places = new Map(nodes.map(({ path }, place) => [path, place]));
  const references = nodes.map((node) =>
    referencesOf(byPath, node.path).map((path) => places.get(path) ?? 0),
  );
  return { nodes, references };
}

/** Depth first, so that the order is the reverse of that in which paths are done with. */
function topologicalOrder(
  byPath: ReadonlyMap<StorePath, ClosureNode>,
  root: StorePath,
): readonly ClosureNode[] {
  const state = new Map<StorePath, "open" | "done">([[root, "open"]]);
  const stack = [{ path: root, left: referencesOf(byPath, root) }];
  const done: ClosureNode[] = [];
  for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
    const next = top.left.pop();
    if (next === undefined) {
      state.set(top.path, "done");
      const node = byPath.get(top.path);
      if (node !== undefined) done.push(node);
      stack.pop();
    } else if (state.get(next) === "open") {
      throw new Error(`${top.path} and ${next} refer to each other`);
    } else if (!state.has(next)) {
      state.set(next, "open");
      stack.push({ path: next, left: referencesOf(byPath, next) });
    }
  }
  return done.reverse();
}

/** A fresh array without the path itself, in an order that does not depend on the input's. */
function referencesOf(byPath: ReadonlyMap<StorePath, ClosureNode>, path: StorePath): StorePath[] {
  const node = byPath.get(path);
  if (node === undefined) throw new Error(`${path} is missing from the closure`);
  return [...new Set(node.references)].filter((other) => other !== path).sort(compareBytes);
}

/** A set of a closure's paths for each of them, as rows of bits: 1.1 MB for 3,000 paths. */
export interface PathSets {
  add(row: number, place: number): void;
  /** Adds to a row what a row of `sets` holds, which may be these same sets. */
  unite(row: number, sets: PathSets, other: number): void;
  has(row: number, place: number): boolean;
  /** The places that a row holds and the same row of `sets` does not, in order. */
  without(row: number, sets: PathSets): readonly number[];
  readonly words: Uint32Array;
}

const WORD_BITS = 32;

export function createPathSets(count: number): PathSets {
  const width = Math.ceil(count / WORD_BITS);
  const words = new Uint32Array(count * width);
  return {
    words,
    add(row, place) {
      const at = row * width + Math.floor(place / WORD_BITS);
      words[at] = (words[at] ?? 0) | (1 << (place % WORD_BITS));
    },
    has(row, place) {
      const word = words[row * width + Math.floor(place / WORD_BITS)] ?? 0;
      return ((word >>> (place % WORD_BITS)) & 1) === 1;
    },
    unite(row, sets, other) {
      // A path reaches later places only, so the words before its own hold nothing.
      for (let word = Math.floor(other / WORD_BITS); word < width; word += 1) {
        const at = row * width + word;
        words[at] = (words[at] ?? 0) | (sets.words[other * width + word] ?? 0);
      }
    },
    without(row, sets) {
      const places: number[] = [];
      for (let word = Math.floor(row / WORD_BITS); word < width; word += 1) {
        const at = row * width + word;
        const left = (words[at] ?? 0) & ~(sets.words[at] ?? 0);
        for (let bit = 0; left >>> bit !== 0 && bit < WORD_BITS; bit += 1) {
          if (((left >>> bit) & 1) === 1) places.push(word * WORD_BITS + bit);
        }
      }
      return places;
    },
  };
}
