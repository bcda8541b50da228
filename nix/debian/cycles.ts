// Makes one package of those that depend on one another in a circle.

import type { Unshelled } from "./package-graph.ts";
import type { Tables } from "./packages.ts";

// Store paths cannot refer to one another in a circle, so what does becomes one of them. Debian's
// releases differ in which packages do (libssl3t64 and openssl-provider-legacy since trixie).
export function mergeCycles(packages: Unshelled, tables: Tables): Unshelled {
  const keyOf = new Map<string, string>();
  const mergedInto = new Map<string, readonly string[]>();
  for (const cycle of cyclesOf(packages)) {
    const key = representative(cycle, packages, tables);
    const others = cycle.filter((name) => name !== key);
    mergedInto.set(key, others);
    for (const name of others) keyOf.set(name, key);
  }
  const merged: Record<string, Unshelled[string]> = {};
  for (const [key, one] of Object.entries(packages)) {
    if (keyOf.has(key)) continue;
    const others = mergedInto.get(key) ?? [];
    const all = [one, ...others.flatMap((name) => packages[name] ?? [])];
    const dependencies = new Set(
      all.flatMap((each) => each.dependencies.map((name) => keyOf.get(name) ?? name)),
    );
    dependencies.delete(key);
    merged[key] = {
      ...one,
      dependencies: [...dependencies].sort(),
      members: all.flatMap((each) => each.members),
      ...(others.length === 0 ? {} : { merged: others }),
    };
  }
  return merged;
}

// The member whose name the tables know, else the one that most others ask for: it keeps its name
// where a later release of Debian makes it part of a cycle.
function representative(cycle: readonly string[], packages: Unshelled, tables: Tables): string {
  const known = [tables.shell, ...tables.groups.map(({ name }) => name)];
  const rank = (name: string): number => {
    const at = known.indexOf(name);
    return at === -1 ? known.length : at;
  };
  const isOutside = ([name]: readonly [string, unknown]) => !cycle.includes(name);
  const outside = Object.entries(packages).filter(isOutside);
  const askedFor = (name: string): number =>
    outside.filter(([, { dependencies }]) => dependencies.includes(name)).length;
  const best = [...cycle].sort(
    (a, b) => rank(a) - rank(b) || askedFor(b) - askedFor(a) || (a < b ? -1 : 1),
  )[0];
  if (best === undefined) throw new Error("a cycle without members");
  return best;
}

// Tarjan's strongly connected components of more than one member, each sorted.
function cyclesOf(packages: Unshelled): readonly (readonly string[])[] {
  const order = new Map<string, number>();
  const stack: string[] = [];
  const cycles: string[][] = [];
  const visit = (name: string): number => {
    const mine = order.size;
    let low = mine;
    order.set(name, mine);
    stack.push(name);
    for (const next of packages[name]?.dependencies ?? []) {
      if (!order.has(next)) low = Math.min(low, visit(next));
      else if (stack.includes(next)) low = Math.min(low, order.get(next) ?? low);
    }
    if (low === mine) {
      const component = stack.splice(stack.indexOf(name));
      if (component.length > 1) cycles.push(component.sort());
    }
    return low;
  };
  for (const name of Object.keys(packages)) if (!order.has(name)) visit(name);
  return cycles;
}
