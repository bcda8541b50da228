// Which store paths of a part's closure form a layer together. Nothing else decides it: not the bytes,
// not the other parts of an image, only the closure and the popularity data.
//
// Objective, in this order: few bytes stored beyond the distinct ones; few bytes pulled by someone
// who has another image of the set; few layers (older clients unpack 74 layers up to twice as
// slowly as 8, and Docker's overlay2 mounts 125 at most).
//
// Rule: the part itself leads a bundle, and so does, below a leader, every path whose size times the
// number of packages that are expected to share it without that leader is a megabyte or more. A bundle
// is its leader's closure without the closures of the leaders below it. A coarser level keeps the
// bundles of heavy leaders as they are, and joins the others, one bundle for each class of weight.
//
// So a bundle is the same in every closure where its leader leads, and what a coarse level keeps is
// shared with every image, whatever its level. A path that two leaders need, and that is light beside
// one of them, is in two bundles, which costs bytes and is never wrong.
//
// The part's own bundle holds its view, and of its outputs those that nobody else is expected to
// share: views are a part's own, and would part what is one. What `shell` brings is one bundle but for
// what it needs that is a megabyte or more by itself: few other packages bring as many small leaders,
// and who has a shell has it in most images; so with `unix`. Of what `fhs` needs all that is as large
// leads. The ground of an image is one bundle, since all have it.

import { outputsBrought, type Part } from "../../registry/image/part.ts";
import type { StorePath } from "../../registry/naming/store-path.ts";
import { compareBytes } from "./byte-string.ts";
import { type ClosureGraph, type ClosureNode, createPathSets, orderClosure } from "./closure.ts";
import type { Popularity } from "./popularity.ts";

/**
 * Raised with every change of the rule, and of what a record says of its part: records made by different
 * rules never meet in an image.
 */
export const CUT_VERSION = 7;
/** From here on a layer's fixed costs are small against the bytes it saves. */
export const LEADER_WEIGHT_BYTES = 1_000_000;
/** Level 0 is the finest cut; the coarsest is a single bundle, so that any image has some cut. */
export const MAX_LEVEL = 8;

export interface Bundle {
  /**
   * The leader, or the part's outputs, then the others in byte order; of joined bundles, the first
   * one's first.
   */
  readonly storePaths: readonly StorePath[];
  /** Of its most popular path. */
  readonly popularity: number;
  /** Whether the part's view lies in it: in one bundle at most. */
  readonly holdsView: boolean;
}

interface LedBundle extends Bundle {
  readonly leader: StorePath;
  readonly weightClass: number;
}

/** Stands for the part among the paths of its closure. */
const PART = "" as StorePath;

/**
 * The cuts at all levels, the finest first. In each, every path of the closure is in at least one
 * bundle, and the most popular bundles come first. `hasView`: whether the part has links to show.
 */
export function cutLevels(
  closure: ClosureGraph,
  part: Part,
  popularity: Popularity,
  hasView: boolean,
): readonly (readonly Bundle[])[] {
  const roots = outputsBrought(part);
  const node = { path: PART, narSizeBytes: 0, references: roots };
  const { nodes, references } = orderClosure([node, ...(roots.length > 0 ? closure : [])], PART);
  const finest = cutFinest(nodes, references, part, popularity, hasView);
  return Array.from({ length: MAX_LEVEL + 1 }, (_, level) => joinLight(finest, level));
}

/** How many bytes a path saves by leading below a leader. */
type Weigh = (node: ClosureNode, leader: StorePath) => number;

function weighIn({ kind, outputs }: Part, popularity: Popularity): Weigh {
  // Who holds the part holds all its outputs.
  const [rarest = PART] = outputs.toSorted(
    (a, b) => popularity.count(a) - popularity.count(b) || compareBytes(a, b),
  );
  return ({ path, narSizeBytes }, leader) => {
    if (leader !== PART) return narSizeBytes * popularity.sharers(path, leader);
    const isOutput = outputs.includes(path);
    switch (kind) {
      case "ground":
      case "database":
        return 0;
      case "shell":
      case "unix":
        return isOutput ? 0 : narSizeBytes;
      // Libraries that nearly everybody shares.
      case "fhs":
        return narSizeBytes;
      case "package":
        if (!isOutput) return narSizeBytes * popularity.sharers(path, rarest);
        return popularity.isAlone(path) ? 0 : narSizeBytes * popularity.sharers(path);
      default:
        return kind satisfies never;
    }
  };
}

function cutFinest(
  nodes: readonly ClosureNode[],
  references: readonly (readonly number[])[],
  part: Part,
  popularity: Popularity,
  hasView: boolean,
): readonly LedBundle[] {
  const weigh = weighIn(part, popularity);
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
    const leader = nodes[place]?.path ?? PART;
    // Those that need others come first, so what a leader below reaches is known to be led.
    for (const below of reached.without(place, none)) {
      const node = nodes[below];
      if (node === undefined || below === place || led.has(place, below)) continue;
      if (weigh(node, leader) < LEADER_WEIGHT_BYTES) continue;
      leaders.add(below);
      led.unite(place, reached, below);
    }
    const members = reached.without(place, led).flatMap((member) => nodes[member] ?? []);
    bundles.push(bundleOf(leader, members, part, popularity, hasView));
  }
  return bundles
    .filter(({ storePaths, holdsView }) => storePaths.length > 0 || holdsView)
    .sort(byPopularity);
}

function bundleOf(
  leader: StorePath,
  members: readonly ClosureNode[],
  { outputs }: Part,
  popularity: Popularity,
  hasView: boolean,
): LedBundle {
  const isPart = leader === PART;
  const byPath = new Map(members.map((node) => [node.path, node]));
  byPath.delete(PART);
  const heads = (isPart ? outputs : [leader]).flatMap((path) => byPath.get(path) ?? []);
  const weightBytes = heads.reduce(
    (sum, { path, narSizeBytes }) => sum + narSizeBytes * popularity.sharers(path),
    0,
  );
  const storePaths = headsFirst(
    heads.map(({ path }) => path),
    [...byPath.keys()],
  );
  return {
    leader,
    weightClass: weightClassOf(weightBytes),
    storePaths,
    popularity: storePaths.reduce((most, path) => Math.max(most, popularity.count(path)), 0),
    holdsView: isPart && hasView,
  };
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
      const storePaths = headsFirst(first.storePaths.slice(0, 1), [...members]);
      return [{ ...first, holdsView, storePaths }];
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

function headsFirst(
  heads: readonly StorePath[],
  members: readonly StorePath[],
): readonly StorePath[] {
  return [...heads, ...members.filter((member) => !heads.includes(member)).sort(compareBytes)];
}

function byPopularity(a: LedBundle, b: LedBundle): number {
  return b.popularity - a.popularity || compareBytes(a.leader, b.leader);
}
