// How Nixery groups the store paths of one image into layers: the baseline. Written from a
// description of its behaviour, oddities included: what it calls size is the closure's, so a path
// is weighed with everything below it.

import type { ClosureGraph } from "../../../origin/layers/closure.ts";
import { type StorePath, storePathName } from "../../../registry/naming/store-path.ts";
import { immediateDominators } from "./dominators.ts";

export const NIXERY_BUDGET = 94;
const BIG_CLOSURE_BYTES = 100_000_000;
const POPULAR_COUNT = 100;
const ALWAYS_PRESENT_COUNT = 500_000;

export interface NixeryGroup {
  readonly storePaths: readonly StorePath[];
  readonly rating: number;
}

/** The groups of an image of `roots`, lowest rating first. `count` is undefined without data. */
export function groupAsNixery(
  graph: ClosureGraph,
  roots: readonly StorePath[],
  count: (path: StorePath) => number | undefined,
  budget: number = NIXERY_BUDGET,
): readonly NixeryGroup[] {
  const popularity = (path: StorePath) =>
    /^(nss-cacert|iana-etc)/.test(storePathName(path)) ? ALWAYS_PRESENT_COUNT : (count(path) ?? 1);
  const order = dependentsFirst(graph);
  const places = new Map(order.map(({ path }, place) => [path, place]));
  const references = order.map((node) =>
    node.references.flatMap((path) => (path === node.path ? [] : (places.get(path) ?? []))),
  );
  const sizes = closureSizes(
    references,
    order.map((node) => node.narSizeBytes),
  );
  const isRoot = new Set(roots);
  const isTop = order.map(
    ({ path }, place) =>
      isRoot.has(path) ||
      (sizes[place] ?? 0) > BIG_CLOSURE_BYTES ||
      popularity(path) >= POPULAR_COUNT,
  );

  // Node 0 is the virtual root, so every place moves up by one.
  const tops = order.flatMap((_, place) => (isTop[place] ? [place + 1] : []));
  const dominators = immediateDominators([
    tops,
    ...references.map((places) => places.map((place) => place + 1)),
  ]);
  const groups = new Map<number, number[]>();
  const groupOf = [0];
  for (const place of order.keys()) {
    const dominator = dominators[place + 1] ?? 0;
    const group = dominator === 0 ? place : (groupOf[dominator] ?? place);
    groupOf[place + 1] = group;
    groups.set(group, [...(groups.get(group) ?? []), place]);
  }
  const rated = [...groups].flatMap(([top, members]) => {
    const node = order[top];
    if (node === undefined) return [];
    const sizeBytes = members.reduce((sum, member) => sum + (sizes[member] ?? 0), 0);
    const storePaths = members.flatMap((member) => order[member]?.path ?? []).sort();
    return [{ storePaths, rating: popularity(node.path) * sizeBytes }];
  });
  return mergeLowest(rated.sort(byRating), budget);
}

/** Nixery leaves open which of two equals comes first; here it is the one whose path does. */
function byRating(a: NixeryGroup, b: NixeryGroup): number {
  return a.rating - b.rating || ((a.storePaths[0] ?? "") < (b.storePaths[0] ?? "") ? -1 : 1);
}

/** The merged group stays in front, whatever its rating has become, and takes the next one too. */
function mergeLowest(groups: readonly NixeryGroup[], budget: number): readonly NixeryGroup[] {
  const excess = groups.length - budget;
  if (excess <= 0) return groups;
  const lowest = groups.slice(0, excess + 1);
  const merged = {
    storePaths: lowest.flatMap((group) => group.storePaths),
    rating: lowest.reduce((sum, group) => sum + group.rating, 0),
  };
  return [merged, ...groups.slice(excess + 1)];
}

/** Every path after all that refer to it. */
function dependentsFirst(graph: ClosureGraph): ClosureGraph {
  const byPath = new Map(graph.map((node) => [node.path, node]));
  const referrers = new Map(graph.map(({ path }) => [path, 0]));
  const add = (path: StorePath, change: number) => {
    const left = (referrers.get(path) ?? 0) + change;
    referrers.set(path, left);
    return left;
  };
  const others = (path: StorePath) =>
    new Set((byPath.get(path)?.references ?? []).filter((other) => other !== path));
  for (const { path } of graph) for (const other of others(path)) add(other, 1);
  const order = graph.filter(({ path }) => referrers.get(path) === 0);
  // The list grows while it is walked.
  for (const { path } of order) {
    for (const other of others(path)) {
      const node = byPath.get(other);
      if (add(other, -1) === 0 && node !== undefined) order.push(node);
    }
  }
  return order;
}

/** By place: the size of everything a path reaches, itself included. */
function closureSizes(
  references: readonly (readonly number[])[],
  sizes: readonly number[],
): readonly number[] {
  return references.map((_, start) => {
    const reached = new Set([start]);
    for (const place of reached) for (const next of references[place] ?? []) reached.add(next);
    return [...reached].reduce((sum, place) => sum + (sizes[place] ?? 0), 0);
  });
}
