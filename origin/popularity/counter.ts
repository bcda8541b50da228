// Counts who needs what, store path by store path, and sums it up by the names that popularity data
// are keyed with.

import type { StorePath } from "../../registry/naming/store-path.ts";
import { storePathPackage } from "../../registry/naming/store-path.ts";

export interface Counter {
  /** The references of one path, or the closure of one package: each path in it counts once. */
  add(group: Iterable<StorePath>): void;
  /**
   * By package, in byte order. The largest count of a package's versions and outputs is its own, as
   * readers of such data take it. Ones are left out: a name that is absent counts as one.
   */
  byPackage(): ReadonlyMap<string, number>;
}

export function createCounter(): Counter {
  const byPath = new Map<StorePath, number>();
  return {
    add(group) {
      for (const path of new Set(group)) byPath.set(path, (byPath.get(path) ?? 0) + 1);
    },
    byPackage() {
      const counts = new Map<string, number>();
      for (const [path, count] of byPath) {
        const name = storePathPackage(path);
        if (count > 1) counts.set(name, Math.max(counts.get(name) ?? 0, count));
      }
      return new Map([...counts].sort(([a], [b]) => (a < b ? -1 : 1)));
    },
  };
}
