// Pointers: what a recipe and tag led to, for one variant, with the manifest itself inlined, so that
// a pull by tag is one read. R2 decides which of two pointers is newer; KV holds a copy, and the isolate
// remembers it for some seconds.

import * as v from "valibot";
import { omittedSchema } from "../../registry/image/image-index.ts";
import { digestSchema, packingIdSchema } from "../../registry/image/record.ts";
import { parsePin, pinSchema } from "../../registry/naming/pin.ts";
import { verifyManifest } from "../isolate/manifest.ts";
import type { Pointer } from "../isolate/pointer.ts";
import type { Edge } from "../request/edge.ts";
import { type ImageName, imageKey, kvKey, r2Key } from "./keys.ts";
import { attempt, kvThenR2 } from "./tiers.ts";

export interface FoundPointer {
  readonly pointer: Pointer;
  readonly tier: "memory" | "kv" | "r2";
}

/** How long one location may answer with a pointer that has moved elsewhere. */
const KV_TTL_SECONDS = 60;
/** Writers of one pointer are few: the origin, and the Worker that composed it. */
const MAX_WRITE_ATTEMPTS = 5;

/** The facts beside the bytes: KV's metadata and R2's custom metadata alike, so all are text. */
const factsSchema = v.object({
  digest: digestSchema,
  mediaType: v.string(),
  pin: pinSchema,
  packing: v.optional(packingIdSchema),
  resolvedAtMs: v.pipe(v.string(), v.regex(/^\d{1,15}$/), v.transform(Number)),
  omitted: v.optional(omittedSchema),
});

/** Null where KV has none: R2 has not been asked then, and may have one. */
export async function lookupPointer(
  edge: Edge,
  name: ImageName,
): Promise<FoundPointer | null | undefined> {
  const remembered = edge.pointers.lookup(imageKey(name), edge.now());
  if (remembered !== undefined) return { pointer: remembered, tier: "memory" };
  const found = await kvThenR2<FoundPointer>(
    edge,
    async () => {
      const { value, metadata } = await edge.kv.getWithMetadata(await kvKey.pointer(name), {
        type: "arrayBuffer",
        cacheTtl: KV_TTL_SECONDS,
      });
      if (value === null) return null;
      const pointer = await parsePointer(new Uint8Array(value), metadata);
      return pointer && { pointer, tier: "kv" };
    },
    () => readR2(edge, name),
  );
  if (found) remember(edge, name, found.pointer);
  return found;
}

/** Where KV had none. */
export async function pointerInR2(edge: Edge, name: ImageName): Promise<FoundPointer | undefined> {
  const found = await attempt(edge, "r2", () => readR2(edge, name));
  if (found !== undefined) remember(edge, name, found.pointer);
  return found;
}

async function readR2(edge: Edge, name: ImageName): Promise<FoundPointer | undefined> {
  const object = await edge.r2.get(await r2Key.pointer(name));
  const pointer = object === null ? undefined : await parseObject(object);
  return pointer && { pointer, tier: "r2" };
}

/** For no longer than it counts as fresh: what replaces one that is stale is to be seen at once. */
function remember(edge: Edge, name: ImageName, pointer: Pointer): void {
  const nowMs = edge.now();
  const staleMs =
    parsePin(name.tag) === undefined ? pointer.resolvedAtMs + edge.pinFreshMs : Infinity;
  const untilMs = Math.min(nowMs + edge.pointerMemoryMs, staleMs);
  const sizeBytes = pointer.manifest.bytes.length;
  edge.pointers.store(imageKey(name), pointer, { sizeBytes, fromMs: nowMs, untilMs });
}

/**
 * Stores a pointer unless a newer one is there. Two Workers may copy to KV in the other order than
 * they wrote to R2: the older copy then answers until the next refresh moves it, marked as stale.
 */
export async function storePointer(edge: Edge, name: ImageName, pointer: Pointer): Promise<void> {
  const key = await r2Key.pointer(name);
  const facts = factsOf(pointer);
  for (let attempts = 0; attempts < MAX_WRITE_ATTEMPTS; attempts += 1) {
    const object = await edge.r2.get(key);
    const stored = object === null ? undefined : await parseObject(object);
    if (stored !== undefined && isNewer(stored, pointer, edge.now())) {
      await copyToKv(edge, name, stored);
      return;
    }
    const written = await edge.r2.put(key, pointer.manifest.bytes, {
      customMetadata: facts,
      onlyIf: object === null ? { etagDoesNotMatch: "*" } : { etagMatches: object.etag },
    });
    if (written !== null) {
      await copyToKv(edge, name, pointer);
      return;
    }
  }
  throw new Error("a pointer changed at every attempt to write it");
}

/** What was resolved after now was so before the clock was set back: it gives way to whatever comes. */
function isNewer(stored: Pointer, told: Pointer, nowMs: number): boolean {
  return stored.resolvedAtMs > told.resolvedAtMs && stored.resolvedAtMs <= nowMs;
}

/** R2 first, from which KV would be healed. */
export async function removePointer(edge: Edge, name: ImageName): Promise<void> {
  edge.pointers.forget(imageKey(name));
  await edge.r2.delete(await r2Key.pointer(name));
  await edge.kv.delete(await kvKey.pointer(name));
}

/** A cold copy of KV: what R2 answered while KV had nothing. */
export async function healPointer(edge: Edge, name: ImageName, pointer: Pointer): Promise<void> {
  await attempt(edge, "kv", () => copyToKv(edge, name, pointer));
}

async function copyToKv(edge: Edge, name: ImageName, pointer: Pointer): Promise<void> {
  edge.pointers.forget(imageKey(name));
  await edge.kv.put(await kvKey.pointer(name), pointer.manifest.bytes, {
    metadata: factsOf(pointer),
  });
}

function factsOf(pointer: Pointer): Record<string, string> {
  const { manifest, pin, packing, omitted } = pointer;
  const { digest, mediaType } = manifest;
  const resolvedAtMs = String(Math.max(0, Math.floor(pointer.resolvedAtMs)));
  const optional = { ...(packing && { packing }), ...(omitted && { omitted }) };
  return { digest, mediaType, pin, resolvedAtMs, ...optional };
}

async function parseObject(object: R2ObjectBody): Promise<Pointer | undefined> {
  return parsePointer(await object.bytes(), object.customMetadata);
}

/** `facts` lie beside the bytes. */
export async function parsePointer(
  bytes: Uint8Array,
  facts: unknown,
): Promise<Pointer | undefined> {
  const parsed = v.safeParse(factsSchema, facts);
  if (!parsed.success) return undefined;
  const { digest, mediaType, pin, packing, resolvedAtMs, omitted } = parsed.output;
  const manifest = await verifyManifest(bytes, digest, mediaType);
  return manifest && { manifest, pin, packing, resolvedAtMs, omitted };
}
