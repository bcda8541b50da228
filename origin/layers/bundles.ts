// Which store paths of a package's closure form a layer together. Nothing else decides it: not the
// bytes, not the other packages of an image, only the closure and the popularity data.
//
// Objective, in this order: few bytes stored beyond the distinct ones; few bytes pulled by someone
// who has another image of the set; few layers (older clients unpack 74 layers up to twice as
// slowly as 8, and Docker's overlay2 mounts 125 at most).
//
// Rule: a path leads a bundle of its own when it is large, or popular, or the package itself. Every
// other path rides with the nearest leader that dominates it: no other path of the closure needs it
// without needing that leader too. So a large or popular path is stored apart from what only one
// package needs, and a closure of hundreds of small private paths does not become hundreds of
// layers.

import type { StorePath } from "../../registry/store-path.ts";
import { compareBytes } from "./byte-string.ts";
import { type ClosureGraph, immediateDominators } from "./dominators.ts";
import type { Popularity } from "./popularity.ts";

/** From here on a layer's fixed costs are small against its bytes. */
export const LARGE_PATH_SIZE_BYTES = 1_000_000;

export interface Bundle {
  /** The leader, then the others in byte order. */
  readonly storePaths: readonly StorePath[];
  /** Of its most popular path. */
  readonly popularity: number;
}

/** Every path of the closure is in exactly one bundle. The most popular come first. */
export function cutBundles(
  closure: ClosureGraph,
  root: StorePath,
  popularity: Popularity,
): readonly Bundle[] {
  const dominators = immediateDominators(closure, root);
  const leaders = new Set<StorePath>([root]);
  for (const { path, narSizeBytes } of closure) {
    const isPopular = popularity.count(path) >= popularity.threshold;
    if (narSizeBytes >= LARGE_PATH_SIZE_BYTES || isPopular) leaders.add(path);
  }

  // Dominators come before what they dominate, so that each path's leader is known when needed.
  const leaderOf = new Map<StorePath, StorePath>([[root, root]]);
  const members = new Map<StorePath, StorePath[]>([[root, []]]);
  for (const [path, dominator] of dominators) {
    const leader = leaders.has(path) ? path : (leaderOf.get(dominator) ?? root);
    leaderOf.set(path, leader);
    if (leader === path) members.set(path, []);
    else members.get(leader)?.push(path);
  }

  const bundles = [...members].map(([leader, others]) => {
    const storePaths = [leader, ...others.sort(compareBytes)];
    const counts = storePaths.map((path) => popularity.count(path));
    return { leader, storePaths, popularity: counts.reduce((a, b) => Math.max(a, b)) };
  });
  return bundles
    .sort((a, b) => b.popularity - a.popularity || compareBytes(a.leader, b.leader))
    .map(({ storePaths, popularity }) => ({ storePaths, popularity }));
}
