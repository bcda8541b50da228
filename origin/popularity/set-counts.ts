// Counts the closures of a set's packages: those of their derivations, which are known as soon as
// they are evaluated, or those of their outputs, which are known of what is realised or in a cache.

import type { FoundPackage } from "../../registry/image/lookup.ts";
import { parseStorePath, type StorePath } from "../../registry/naming/store-path.ts";
import type { ClosureGraph } from "../layers/closure.ts";
import { queryClosure } from "../nix/closure.ts";
import type { NixTool } from "../nix/nix-tool.ts";
import { createCounter } from "./counter.ts";

export interface SetCounts {
  /** Packages whose whole closure is known. */
  readonly counted: number;
  readonly left: number;
  readonly counts: ReadonlyMap<string, number>;
}

/**
 * What a package is built with is more than what it needs at run time, so this counts too much,
 * never too little: what nothing else can need counts as such, and so does what everything needs.
 * It says the same on every machine, whatever is realised there.
 */
export async function countDerivations(
  nix: NixTool,
  packages: readonly FoundPackage[],
  signal: AbortSignal,
): Promise<SetCounts> {
  const roots = packages.map(({ derivation }) => {
    const path = derivation.endsWith(".drv") ? parseStorePath(derivation) : undefined;
    return path === undefined ? [] : [path];
  });
  const graph = toReferences(await queryClosure(nix, [...new Set(roots.flat())], signal));
  return count(graph, roots, nameOfDerivation);
}

/**
 * `graph` need not have everything: a package is left out when something of its closure is missing.
 */
export function countOutputs(
  graph: ReadonlyMap<StorePath, readonly StorePath[]>,
  packages: readonly FoundPackage[],
): SetCounts {
  const roots = packages.map(({ outputs }) => outputs.map(({ path }) => path));
  return count(graph, roots, (path) => path);
}

export function toReferences(graph: ClosureGraph): Map<StorePath, readonly StorePath[]> {
  return new Map(graph.map(({ path, references }) => [path, references]));
}

function count(
  graph: ReadonlyMap<StorePath, readonly StorePath[]>,
  groups: readonly (readonly StorePath[])[],
  countedAs: (path: StorePath) => StorePath | undefined,
): SetCounts {
  const counter = createCounter();
  let counted = 0;
  for (const roots of groups) {
    const closure = closureIn(graph, roots);
    if (closure === undefined) continue;
    counted += 1;
    counter.add([...closure].flatMap((path) => countedAs(path) ?? []));
  }
  return { counted, left: groups.length - counted, counts: counter.byPackage() };
}

function closureIn(
  graph: ReadonlyMap<StorePath, readonly StorePath[]>,
  roots: readonly StorePath[],
): ReadonlySet<StorePath> | undefined {
  if (roots.length === 0) return undefined;
  const reached = new Set(roots);
  // A Set is walked in the order of insertion, and what is added during the walk is walked too.
  for (const path of reached) {
    const references = graph.get(path);
    if (references === undefined) return undefined;
    for (const reference of references) reached.add(reference);
  }
  return reached;
}

/** Undefined for sources and builders, which no output is called after. */
function nameOfDerivation(path: StorePath): StorePath | undefined {
  return path.endsWith(".drv") ? parseStorePath(path.slice(0, -".drv".length)) : undefined;
}
