// A package index of what is in stock and of more, and how an edge comes to have it.

import { assert } from "vitest";
import { ingestPath } from "../../../registry/http/route.ts";
import type { Pin } from "../../../registry/naming/pin.ts";
import { type Architecture, systemOf } from "../../../registry/naming/recipe.ts";
import { MAX_OBJECTS_PER_BODY } from "../../../registry/package-index/bodies.ts";
import { type MadeIndex, makeIndex } from "../../../registry/package-index/make-index.ts";
import type { IndexedSet } from "../../../registry/package-index/root.ts";
import type { IndexEntry } from "../../../registry/package-index/shard.ts";
import { NOW_MS } from "../controls.ts";
import { objectsBody, rootBody } from "../ingest/index-bodies.ts";
import type { Stock } from "../stock.ts";
import type { World } from "../world.ts";

export const SETS: readonly IndexedSet[] = [
  { path: "python3Packages", isListed: true },
  { path: "lib", isListed: false },
];

const MORE: readonly IndexEntry[] = [
  { attribute: "paid", said: { kind: "unfree", licenses: ["unfree"] } },
  { attribute: "elsewhere", said: { kind: "unsupported", system: "x86_64-linux" } },
  { attribute: "throws", said: { kind: "evaluation-failed", message: "error: nope" } },
  { attribute: "unasked", said: { kind: "unexplained" } },
  { attribute: "python3Packages.NumPy", said: { kind: "broken" } },
  { attribute: "aFunction", said: { kind: "not-a-package", what: "function", near: [] } },
];

export interface IndexOptions {
  readonly isComplete?: boolean;
  readonly architecture?: Architecture;
  readonly more?: readonly IndexEntry[];
  /** Attributes of the stock that this set has not. */
  readonly without?: readonly string[];
}

export function indexOf(
  stock: Stock,
  pin: Pin,
  { isComplete = true, architecture = "amd64", more = MORE, without = [] }: IndexOptions = {},
): Promise<MadeIndex> {
  const own = [...stock.lookups.values()].filter(({ attribute }) => !without.includes(attribute));
  return makeIndex({
    ...{ pin, isComplete, sets: SETS, images: ["site"], madeAtMs: NOW_MS },
    system: systemOf(architecture),
    entries: [...own.map((said) => ({ attribute: said.attribute, said })), ...more],
  });
}

export async function sendIndex(world: World, { root, objects }: MadeIndex): Promise<void> {
  const bodies: (readonly [path: string, body: Uint8Array])[] = [];
  for (let start = 0; start < objects.length; start += MAX_OBJECTS_PER_BODY) {
    const some = objects.slice(start, start + MAX_OBJECTS_PER_BODY);
    bodies.push([ingestPath.indexObjects, await objectsBody(some)]);
  }
  for (const [path, body] of [...bodies, [ingestPath.index, await rootBody(root)] as const]) {
    const told = await world.push("POST", path, body);
    assert(told.ok, await told.text());
  }
}
