// The dominator tree of a closure: which path every way from the root to another path leads
// through. Iterative, since closures hold thousands of paths and chains of any depth.

import type { StorePath } from "../../registry/store-path.ts";
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

/**
 * The immediate dominator of every path but the root, in an order in which every path comes after
 * all that refer to it. After Cooper, Harvey and Kennedy, "A Simple, Fast Dominance Algorithm":
 * references between different paths are never circular, so one pass in that order is enough.
 */
export function immediateDominators(
  closure: ClosureGraph,
  root: StorePath,
): ReadonlyMap<StorePath, StorePath> {
  const nodes = new Map(closure.map((node) => [node.path, node]));
  const order = topologicalOrder(nodes, root);
  if (order.length !== nodes.size) {
    throw new Error(`the closure of ${root} holds paths that it does not refer to`);
  }
  const rank = new Map(order.map((path, index) => [path, index]));
  const referrers = new Map<StorePath, StorePath[]>(order.map((path) => [path, []]));
  for (const path of order) {
    for (const reference of referencesOf(nodes, path)) referrers.get(reference)?.push(path);
  }

  const dominators = new Map<StorePath, StorePath>();
  const rankOf = (path: StorePath) => rank.get(path) ?? 0;
  const up = (path: StorePath) => dominators.get(path) ?? root;
  for (const path of order.slice(1)) {
    const dominator = (referrers.get(path) ?? []).reduce((a, b) => {
      let [left, right] = [a, b];
      while (left !== right) {
        if (rankOf(left) > rankOf(right)) left = up(left);
        else right = up(right);
      }
      return left;
    });
    dominators.set(path, dominator);
  }
  return dominators;
}

/** Depth first, so that the order is the reverse of that in which paths are done with. */
function topologicalOrder(
  nodes: ReadonlyMap<StorePath, ClosureNode>,
  root: StorePath,
): readonly StorePath[] {
  const state = new Map<StorePath, "open" | "done">([[root, "open"]]);
  const stack = [{ path: root, left: referencesOf(nodes, root) }];
  const done: StorePath[] = [];
  for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
    const next = top.left.pop();
    if (next === undefined) {
      state.set(top.path, "done");
      done.push(top.path);
      stack.pop();
    } else if (state.get(next) === "open") {
      throw new Error(`${top.path} and ${next} refer to each other`);
    } else if (!state.has(next)) {
      state.set(next, "open");
      stack.push({ path: next, left: referencesOf(nodes, next) });
    }
  }
  return done.reverse();
}

/** A fresh array without the path itself, in an order that does not depend on the input's. */
function referencesOf(nodes: ReadonlyMap<StorePath, ClosureNode>, path: StorePath): StorePath[] {
  const node = nodes.get(path);
  if (node === undefined) throw new Error(`${path} is missing from the closure`);
  return [...new Set(node.references)].filter((other) => other !== path).sort(compareBytes);
}
