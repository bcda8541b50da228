// Takes records, lookups, manifests and pointers, each only when what it names is already there. So
// the order of the backfill is kept by the edge itself, whoever sends.

import * as v from "valibot";
import {
  callsForLookups,
  callsForRecords,
  lookupsBodySchema,
  MAX_CALLS_PER_BODY,
  pointersBodySchema,
  recordsBodySchema,
} from "../../registry/between/backfill.ts";
import { type ErrorCode, RegistryError } from "../../registry/http/error.ts";
import { parseJson } from "../../registry/http/json.ts";
import { outputPathsOf } from "../../registry/image/lookup.ts";
import { parseManifest } from "../../registry/image/named-blobs.ts";
import { outputsBrought } from "../../registry/image/part.ts";
import { popularityBlob, recordLayers } from "../../registry/image/record.ts";
import { type Digest, digestOf } from "../../registry/naming/digest.ts";
import type { Manifest } from "../isolate/manifest.ts";
import type { Edge } from "../request/edge.ts";
import { storeDocument } from "../storage/document.ts";
import { kvKey, r2Key } from "../storage/keys.ts";
import { storedManifest, storeManifest } from "../storage/manifests.ts";
import { storePointer } from "../storage/pointers.ts";
import { storeTagPins } from "../storage/tag-pins.ts";
import { missingKeys, overEach, requireBlobs, requireManifests } from "./presence.ts";

export async function ingestRecords(edge: Edge, json: unknown): Promise<Response> {
  const { records } = parseBody(recordsBodySchema, json);
  requireFew(records, callsForRecords(records));
  const layers = records.flatMap(recordLayers);
  const popularity = new Set(records.flatMap(({ packing }) => popularityBlob(packing) ?? []));
  await requireBlobs(edge, [
    ...layers.map(({ digest, sizeBytes }) => ({ digest, sizeBytes })),
    ...[...popularity].map((digest) => ({ digest, sizeBytes: null })),
  ]);
  await overEach(records, async (record) => {
    await storeDocument(edge, await kvKey.record(record, record.packing), record);
    await Promise.all(
      outputsBrought(record).map((path) => edge.r2.put(r2Key.output(path), record.packing)),
    );
  });
  return acceptedResponse(200);
}

/**
 * A lookup is taken when a record of each of its outputs was, in whatever packing: which one an image
 * needs depends on its variant, and composing reads the records themselves anyway. R2 is asked, since
 * KV may not show for a minute what was just written.
 */
export async function ingestLookups(edge: Edge, json: unknown): Promise<Response> {
  const { pin, system, lookups } = parseBody(lookupsBodySchema, json);
  requireFew(lookups, callsForLookups(lookups));
  const outputs = lookups.flatMap(({ found }) => outputPathsOf(found));
  const keyOf = new Map(outputs.map((path) => [r2Key.output(path), path]));
  const missing = await missingKeys(edge, [...keyOf.keys()]);
  if (missing.length > 0) {
    throw new RegistryError("MANIFEST_INVALID", "lookups of outputs without a record", {
      detail: missing.map((key) => keyOf.get(key)),
    });
  }
  await overEach(lookups, ({ name, found }) =>
    storeDocument(edge, kvKey.lookup(pin, system, name), found),
  );
  return acceptedResponse(200);
}

/** Beyond the limit of a request the runtime ends it in the middle, and says nothing that the origin could read. */
function requireFew(items: readonly unknown[], calls: number): void {
  if (items.length <= 1 || calls <= MAX_CALLS_PER_BODY) return;
  throw new RegistryError(
    "SIZE_INVALID",
    `the body takes ${calls} calls of the storage, of ${MAX_CALLS_PER_BODY} that one may take: cut it`,
  );
}

export async function ingestManifest(
  edge: Edge,
  digest: Digest,
  bytes: Uint8Array,
): Promise<Response> {
  const actual = await digestOf(bytes);
  if (actual !== digest) throw new RegistryError("DIGEST_INVALID", `these bytes are ${actual}`);
  const manifest = parseManifest(parseJson(bytes));
  if (manifest === undefined) {
    throw new RegistryError("MANIFEST_INVALID", "not a manifest that this registry writes");
  }
  if (manifest.kind === "index") await requireManifests(edge, manifest.manifests);
  else await requireBlobs(edge, manifest.blobs);
  await storeManifest(edge, { digest, mediaType: manifest.mediaType, bytes });
  return acceptedResponse(201);
}

/**
 * Everything is checked before anything is written. R2 is asked for the manifest: the memory of an
 * isolate holds what the origin answered too, whose layers nobody has checked.
 */
export async function ingestPointers(edge: Edge, json: unknown): Promise<Response> {
  const { tag, image } = parseBody(pointersBodySchema, json);
  const nowMs = edge.now();
  let manifest: Manifest | undefined;
  if (image !== null) {
    manifest = await storedManifest(edge, image.digest);
    if (manifest === undefined) {
      throw new RegistryError("MANIFEST_UNKNOWN", `no manifest ${image.digest} was put here`);
    }
  }
  // A clock ahead of ours must not keep later pointers out.
  const past = (resolvedAtMs: number) => Math.min(resolvedAtMs, nowMs);
  if (tag !== null) {
    const pins = tag.pins.pins.map((each) => ({ ...each, resolvedAtMs: past(each.resolvedAtMs) }));
    await storeTagPins(edge, tag.tag, { ...tag.pins, pins });
  }
  if (image !== null && manifest !== undefined) {
    const { pin, packing } = image;
    const resolvedAtMs = past(image.resolvedAtMs);
    const omitted = image.omitted ?? undefined;
    await storePointer(edge, image, { manifest, pin, packing, resolvedAtMs, omitted });
  }
  return acceptedResponse(200);
}

export function parseBody<Output>(
  schema: v.GenericSchema<unknown, Output>,
  json: unknown,
  code: ErrorCode = "MANIFEST_INVALID",
): Output {
  const parsed = v.safeParse(schema, json);
  if (parsed.success) return parsed.output;
  const [issue] = parsed.issues;
  const at = v.getDotPath(issue);
  throw new RegistryError(code, `the body is not as it should be: ${at ?? ""} ${issue.message}`);
}

export function acceptedResponse(status: 200 | 201, body: unknown = {}): Response {
  return Response.json(body, { status, headers: { "Cache-Control": "no-store" } });
}
