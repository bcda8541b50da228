// Has an edge remove what is wrong, and gives it again what the origin has of it. What the origin has not, or
// not any more, goes with what names it: a pull brings it back.

import {
  type EdgeStore,
  MAX_REMOVALS_PER_BODY,
  type OriginPlace,
} from "../../registry/between/stored-values.ts";
import type { EdgeClient } from "../backfill/edge-client.ts";
import { listedKey, parseStorageKey, type StorageKey } from "../storage/keys.ts";
import type { EdgeChecked, EdgeFault } from "./check-edge.ts";
import { type Finding, NotTold, type Repair, type Repaired } from "./finding.ts";
import { GIVING_ORDER, type Giving, giveValue } from "./give-value.ts";

export interface EdgeRepairOptions extends Giving {
  readonly edge: EdgeClient;
  readonly faults: readonly EdgeFault[];
  /** Looks at all documents once more. */
  readonly check: () => Promise<EdgeChecked>;
}

/** A blob, its record, its lookup, its manifest, its index, its pointer; and one more look. */
const MAX_ROUNDS = 7;

export async function repairEdge(options: EdgeRepairOptions): Promise<Repaired> {
  const repairs = new Map<string, Repair["kind"]>();
  const tried = new Set<string>();
  let { faults } = options;
  let findings: readonly Finding[] = [];
  for (let round = 0; round < MAX_ROUNDS && faults.length > 0; round += 1) {
    /** What is said of what the edge is to be given. */
    const wanted = new Map<StorageKey, string[]>();
    const removals: Record<EdgeStore, string[]> = { kv: [], r2: [] };
    const want = (place: OriginPlace, told: string) => {
      repairs.set(told, "gone");
      const key = `${place.collection}/${place.name}`;
      if (parseStorageKey(key) === undefined) return;
      wanted.set(listedKey(key), [...(wanted.get(listedKey(key)) ?? []), told]);
    };
    for (const { store, value, missing } of faults) {
      const untried = missing.filter(({ key }) => !tried.has(key));
      for (const each of untried) want(each, `${each.store}/${each.key}`);
      if (untried.length > 0) continue;
      removals[store].push(value.key);
      want(value, `${store}/${value.key}`);
    }
    for (const { missing } of faults) for (const { key } of missing) tried.add(key);
    await removeFromEdge(options.edge, removals);
    for (const told of await giveAll(options, wanted)) repairs.set(told, "made-again");
    const again = await options.check();
    ({ faults } = again);
    ({ findings } = again.checked);
  }
  return { repairs: [...repairs].map(([key, kind]) => ({ key, kind })), findings };
}

export async function removeFromEdge(
  edge: Pick<EdgeClient, "postRemovals">,
  removals: Readonly<Record<EdgeStore, readonly string[]>>,
  storedBeforeMs: number | null = null,
): Promise<void> {
  for (const store of ["kv", "r2"] as const) {
    for (let first = 0; first < removals[store].length; first += MAX_REMOVALS_PER_BODY) {
      const keys = removals[store].slice(first, first + MAX_REMOVALS_PER_BODY);
      const result = await edge.postRemovals({ store, keys, storedBeforeMs });
      if (result.kind === "blobs-missing") throw new NotTold("the edge removes nothing");
      if (result.kind !== "accepted") throw new NotTold(result.message);
    }
  }
}

/** What the edge has now, as it is told of. */
async function giveAll(
  giving: Giving,
  wanted: ReadonlyMap<StorageKey, readonly string[]>,
): Promise<readonly string[]> {
  const given: string[] = [];
  for (const collection of GIVING_ORDER) {
    for (const [key, told] of wanted) {
      if (!key.startsWith(`${collection}/`)) continue;
      if (await giveValue(giving, key)) given.push(...told);
    }
  }
  return given;
}
