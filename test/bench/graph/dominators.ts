// The dominator tree of an acyclic graph: which node every way from the root to another leads
// through. Only the groupings that nixport is compared with need it.

/**
 * The immediate dominator of every node but the root, by number. `successors` names later nodes
 * only, and the root is node 0. After Cooper, Harvey and Kennedy, "A Simple, Fast Dominance
 * Algorithm": without circles one pass in that order is enough.
 */
export function immediateDominators(successors: readonly (readonly number[])[]): readonly number[] {
  const dominators = successors.map((): number | undefined => undefined);
  dominators[0] = 0;
  const common = (a: number, b: number) => {
    let [left, right] = [a, b];
    while (left !== right) {
      if (left > right) left = dominators[left] ?? 0;
      else right = dominators[right] ?? 0;
    }
    return left;
  };
  for (const [node, nexts] of successors.entries()) {
    for (const next of nexts) {
      const known = dominators[next];
      dominators[next] = known === undefined ? node : common(known, node);
    }
  }
  return dominators.map((dominator) => dominator ?? 0);
}
