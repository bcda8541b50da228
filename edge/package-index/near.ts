// The names of an index, which near names are sought among: one object of some hundred kilobytes, read only
// where somebody has to be told of a name that is absent.

import type { Lookup } from "../../registry/image/lookup.ts";
import { unpack } from "../../registry/package-index/gzip.ts";
import { MAX_NAMES_BYTES, namesIn, readNames } from "../../registry/package-index/names.ts";
import { lookupOf, setOf, type Unnamed } from "../../registry/package-index/resolve.ts";
import type { IndexRoot } from "../../registry/package-index/root.ts";
import type { Edge } from "../request/edge.ts";
import { kvKey } from "../storage/keys.ts";
import { attemptKv } from "../storage/tiers.ts";

/** It never changes under its digest. */
const LIFE_MS = 3_600_000;
/** An isolate has 128 MB for all that it does. */
const MAX_BYTES = Math.min(MAX_NAMES_BYTES, 16 * 1024 * 1024);

/** A lookup as the origin has it; without near names where the names cannot be read. */
export async function nearLookup(edge: Edge, root: IndexRoot, unnamed: Unnamed): Promise<Lookup> {
  const names = await readIndexNames(edge, root);
  return lookupOf(root, unnamed, names === undefined ? [] : namesIn(names, setOf(unnamed)));
}

async function readIndexNames(edge: Edge, { names }: IndexRoot): Promise<string | undefined> {
  if (names.sizeBytes > MAX_BYTES) return undefined;
  const key = kvKey.indexObject(names.digest);
  const nowMs = edge.now();
  const known = edge.names.lookup(key, nowMs);
  if (known !== undefined) return known;
  const packed = await attemptKv(edge, () => edge.kv.get(key, "arrayBuffer"));
  // gzip tells by itself when a bit of it is wrong, and no more than a suggestion comes of it.
  const bytes = packed ? await unpack(new Uint8Array(packed), MAX_BYTES) : undefined;
  const text = bytes?.length === names.sizeBytes ? readNames(bytes) : undefined;
  if (packed && text === undefined) {
    edge.log({ level: "error", event: "corrupt names of a package index", tier: "kv", key });
  }
  if (text === undefined) return undefined;
  const life = { sizeBytes: text.length, fromMs: nowMs, untilMs: nowMs + LIFE_MS };
  edge.names.store(key, text, life);
  return text;
}
