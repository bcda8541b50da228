// Which store paths of a package's closure form a layer together. Nothing else decides it: not the
// bytes, not the other packages of an image, only the closure and the popularity data.

import type { StorePath } from "../../registry/store-path.ts";
import { compareBytes } from "./byte-string.ts";
import { type ClosureGraph, createPathSets, orderClosure } from "./closure.ts";
import { leads, MAX_LEVEL } from "./levels.ts";
import type { Popularity } from "./popularity.ts";

export interface Bundle {
  /** The leader, then the others in byte order. */
  readonly storePaths: readonly StorePath[];
  /** Of its most popular path. */
  readonly popularity: number;
}

/**
 * The cut of a closure at one level, from the finest (0) to a single bundle (MAX_LEVEL). Every path
 * of the closure is in at least one bundle. The most popular come first.
 */
export function cutBundles(
  closure: ClosureGraph,
  root: StorePath,
  popularity: Popularity,
  level = 0,
): readonly Bundle[] {
  return cut(closure, root, popularity, [level])[0] ?? [];
}

/** The cuts at all levels, the finest first: much cheaper than one by one. */
export function cutLevels(
  closure: ClosureGraph,
  root: StorePath,
  popularity: Popularity,
): readonly (readonly Bundle[])[] {
  const levels = Array.from({ length: MAX_LEVEL + 1 }, (_, level) => level);
  return cut(closure, root, popularity, levels);
}

function cut(
  closure: ClosureGraph,
  root: StorePath,
  popularity: Popularity,
  levels: readonly number[],
): readonly (readonly Bundle[])[] {
  const { nodes, references } = orderClosure(closure, root);
  const counts = nodes.map(({ path }) => popularity.count(path));
  const bottomUp = nodes.map((_, place) => place).reverse();

  const reached = createPathSets(nodes.length);
  for (const place of bottomUp) {
    reached.add(place, place);
    for (const reference of references[place] ?? []) reached.unite(place, reference);
  }

  /** By place: what the leaders reach that the path reaches, the path itself being one or not. */
  const led = createPathSets(nodes.length);
  return levels.map((level) => {
    led.clear();
    const bundles: (Bundle & { readonly leader: StorePath })[] = [];
    for (const place of bottomUp) {
      const node = nodes[place];
      if (node === undefined) continue;
      for (const reference of references[place] ?? []) led.unite(place, reference);
      const count = counts[place] ?? 0;
      if (place !== 0 && !leads(node.narSizeBytes, count, popularity.threshold, level)) continue;
      const members = reached.without(place, led);
      const others = members.filter((member) => member !== place);
      const paths = others.flatMap((member) => nodes[member]?.path ?? []);
      bundles.push({
        leader: node.path,
        storePaths: [node.path, ...paths.sort(compareBytes)],
        popularity: members.reduce((most, member) => Math.max(most, counts[member] ?? 0), 0),
      });
      led.unite(place, place, reached);
    }
    return bundles
      .sort((a, b) => b.popularity - a.popularity || compareBytes(a.leader, b.leader))
      .map(({ storePaths, popularity }) => ({ storePaths, popularity }));
  });
}
