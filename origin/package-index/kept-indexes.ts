// Which package indexes stay: those at the pins that tags have and had before, since an edge answers at the
// earlier one while it is told of a move; and the last of each system, for a tag that is a commit is noted nowhere.

import { configuredPin, type Pin } from "../../registry/naming/pin.ts";
import type { System } from "../../registry/naming/recipe.ts";
import { parseStoredPin } from "../sources/pin-memory.ts";
import type { BlobStore } from "../storage/blob-store.ts";
import type { StorageKey } from "../storage/keys.ts";

export interface HeldRoot {
  readonly key: StorageKey;
  readonly pin: Pin;
  readonly system: System;
  readonly storedAtMs: number;
}

/** `revisions`: of whichever configuration. */
export function keptRoots<Root extends HeldRoot>(
  roots: readonly Root[],
  revisions: ReadonlySet<Pin>,
): readonly Root[] {
  const newest = new Map<System, Root>();
  for (const root of roots) {
    const known = newest.get(root.system);
    if (known === undefined || known.storedAtMs < root.storedAtMs) newest.set(root.system, root);
  }
  return roots.filter(
    (root) => revisions.has(configuredPin(root.pin, "")) || newest.get(root.system) === root,
  );
}

/** Of all tags of all sources that the storage has served: what they have and had before. */
export async function revisionsOfTags(
  store: Pick<BlobStore, "list" | "lookup">,
): Promise<ReadonlySet<Pin>> {
  const revisions = new Set<Pin>();
  for await (const { key } of store.list("pins/")) {
    const bytes = await store.lookup(key);
    const stored = bytes && parseStoredPin(bytes);
    for (const pin of [stored?.pin, stored?.before]) {
      if (pin !== undefined) revisions.add(configuredPin(pin, ""));
    }
  }
  return revisions;
}
