// Which store paths of a package's closure form a layer together. Nothing else decides it: not the
// bytes, not the other packages of an image, only the closure and the popularity data.
//
// Objective, in this order: few bytes stored beyond the distinct ones; few bytes pulled by someone
// who has another image of the set; few layers (older clients unpack 74 layers up to twice as
// slowly as 8, and Docker's overlay2 mounts 125 at most).
//
// Rule: the package leads a bundle, and so does, below a leader, every path whose size times the number
// of packages that are expected to share it without that leader is a megabyte or more. A bundle is its
// leader's closure without the closures of the leaders below it. A coarser level keeps the bundles of
// heavy leaders as they are, and joins the others, one bundle for each class of weight.
//
// So a bundle is the same in every closure where its leader leads, and what a coarse level keeps is
// shared with every image, whatever its level. The root leads however light it is: only then may its
// bundle differ from what the same path leads elsewhere. A path that two leaders need, and that is
// light beside one of them, is in two bundles, which costs bytes and is never wrong.
//
// The root's bundle holds the package's view as well, and saves its layer, unless other closures are
// expected to share that very bundle: views are a package's own, and would part what is one.

import type { StorePath } from "../../registry/store-path.ts";
import { compareBytes } from "./byte-string.ts";
import { type ClosureGraph, createPathSets, orderClosure } from "./closure.ts";
import type { Popularity } from "./popularity.ts";

/** Raised with every change of the rule: records cut by different rules never meet in an image. */
export const CUT_VERSION = 4;
/** From here on a layer's fixed costs are small against the bytes it saves. */
export const LEADER_WEIGHT_BYTES = 1_000_000;
/** Level 0 is the finest cut; the coarsest is a single bundle, so that any image has some cut. */
export const MAX_LEVEL = 8;

export interface Bundle {
  /** The leader, then the others in byte order; of joined bundles, the first one's leader. */
  readonly storePaths: readonly StorePath[];
  /** Of its most popular path. */
  readonly popularity: number;
  /** Whether the package's view lies in it: in one bundle at most. */
  readonly holdsView: boolean;
}

interface LedBundle extends Bundle {
  readonly leader: StorePath;
  readonly weightClass: number;
}

/**
 * The cuts at all levels, the finest first. In each, every path of the closure is in at least one
 * bundle, and the most popular bundles come first. `hasView`: whether the package has links to show.
 */
export function cutLevels(
  closure: ClosureGraph,
  root: StorePath,
  popularity: Popularity,
  hasView: boolean,
): readonly (readonly Bundle[])[] {
  const finest = cutFinest(closure, root, popularity, hasView);
  return Array.from({ length: MAX_LEVEL + 1 }, (_, level) => joinLight(finest, level));
}

function cutFinest(
  closure: ClosureGraph,
  root: StorePath,
  popularity: Popularity,
  hasView: boolean,
): readonly LedBundle[] {
  const { nodes, references } = orderClosure(closure, root);
  const reached = createPathSets(nodes.length);
  // Bottom up, since a path reaches what its references reach.
  for (const place of [...nodes.keys()].reverse()) {
    reached.add(place, place);
    for (const reference of references[place] ?? []) reached.unite(place, reached, reference);
  }
  const none = createPathSets(nodes.length);
  const led = createPathSets(nodes.length);
  const bundles: LedBundle[] = [];
  const leaders = new Set([0]);
  // A Set is walked in the order of insertion, and what is added during the walk is walked too.
  for (const place of leaders) {
    const leader = nodes[place]?.path ?? root;
    // Those that need others come first, so what a leader below reaches is known to be led.
    for (const below of reached.without(place, none)) {
      const node = nodes[below];
      if (node === undefined || below === place || led.has(place, below)) continue;
      const weightBytes = node.narSizeBytes * popularity.sharers(node.path, leader);
      if (weightBytes < LEADER_WEIGHT_BYTES) continue;
      leaders.add(below);
      led.unite(place, reached, below);
    }
    const members = reached.without(place, led).flatMap((member) => nodes[member]?.path ?? []);
    const weightBytes = (nodes[place]?.narSizeBytes ?? 0) * popularity.sharers(leader);
    bundles.push({
      leader,
      weightClass: weightClassOf(weightBytes),
      storePaths: leaderFirst(leader, members),
      popularity: members.reduce((most, member) => Math.max(most, popularity.count(member)), 0),
      holdsView:
        hasView && place === 0 && (weightBytes < LEADER_WEIGHT_BYTES || popularity.isAlone(leader)),
    });
  }
  return bundles.sort(byPopularity);
}

/** Joins the bundles of each class below the level; at the coarsest level, all there are. */
function joinLight(finest: readonly LedBundle[], level: number): readonly Bundle[] {
  const groups = Map.groupBy(finest, ({ leader, weightClass }) => {
    if (level >= MAX_LEVEL) return "all";
    return weightClass < level ? weightClass : leader;
  });
  return [...groups.values()]
    .flatMap((group) => {
      const [first] = group;
      if (first === undefined || group.length === 1) return group;
      const members = new Set(group.flatMap(({ storePaths }) => storePaths));
      const holdsView = group.some((bundle) => bundle.holdsView);
      return [{ ...first, holdsView, storePaths: leaderFirst(first.leader, [...members]) }];
    })
    .sort(byPopularity)
    .map(({ storePaths, popularity, holdsView }) => ({ storePaths, popularity, holdsView }));
}

/** Each class is twice as heavy as the one before: so a level has about half the bundles. */
function weightClassOf(weightBytes: number): number {
  let weightClass = 0;
  while (weightBytes >= LEADER_WEIGHT_BYTES * 2 ** (weightClass + 1)) weightClass += 1;
  return weightClass;
}

function leaderFirst(leader: StorePath, members: readonly StorePath[]): readonly StorePath[] {
  return [leader, ...members.filter((member) => member !== leader).sort(compareBytes)];
}

function byPopularity(a: LedBundle, b: LedBundle): number {
  return b.popularity - a.popularity || compareBytes(a.leader, b.leader);
}
