// An edge as its origin sees it: the client that an origin asks it by, and what it has stored, in hand.

import { assert } from "vitest";
import { createEdgeClient, type EdgeClient } from "../../../origin/backfill/edge-client.ts";
import { parseSecretKeys } from "../../../registry/between/token.ts";
import { NOW_MS } from "../controls.ts";
import { SECRET, type World } from "../world.ts";

export function edgeClientOf(world: World, signal: AbortSignal, secret = SECRET): EdgeClient {
  const secretKeys = parseSecretKeys(secret);
  assert(typeof secretKeys !== "string");
  return createEdgeClient({ url: world.edge.url, secretKeys, now: () => NOW_MS, signal });
}

type Miniflare = World["edge"]["miniflare"];
type Stores = readonly [
  kv: Awaited<ReturnType<Miniflare["getKVNamespace"]>>,
  r2: Awaited<ReturnType<Miniflare["getR2Bucket"]>>,
];

export function storesOf({ edge: { miniflare } }: World): Promise<Stores> {
  return Promise.all([miniflare.getKVNamespace("KV"), miniflare.getR2Bucket("R2")]);
}

export async function emptyStores(world: World): Promise<void> {
  const [kv, r2] = await storesOf(world);
  await Promise.all((await kv.list()).keys.map(({ name }) => kv.delete(name)));
  await r2.delete((await r2.list()).objects.map(({ key }) => key));
}
