// Takes a package index: objects, whole or as patches of those that are here, each only with the bytes of its
// digest; and a root when all that it names is here. What is lacking is named, and the origin sends it whole.

import { MAX_CALLS_PER_BODY } from "../../registry/between/backfill.ts";
import { RegistryError } from "../../registry/http/error.ts";
import { type Digest, digestOf } from "../../registry/naming/digest.ts";
import {
  MAX_PATCHED_BYTES,
  objectsOf,
  parseObjects,
  parsePatches,
} from "../../registry/package-index/bodies.ts";
import { applyPatch, type IndexPatch } from "../../registry/package-index/patch.ts";
import type { Edge } from "../request/edge.ts";
import {
  bulkReadsOf,
  missingObjects,
  readIndexObject,
  storeIndexObject,
  storeIndexRoot,
  unpackObject,
  unpackRoot,
} from "../storage/package-index.ts";
import { acceptedResponse } from "./ingest-documents.ts";
import { overEach, refuseLacking } from "./presence.ts";

/** All are looked at before any is kept. */
export async function ingestIndexObjects(edge: Edge, body: Uint8Array): Promise<Response> {
  const objects = parseObjects(body);
  if (objects === undefined) throw malformed("objects of an index");
  // One after the other: together they may be more than a Worker has room for.
  for (const { digest, packed } of objects) await unpackedOrRefused(packed, digest);
  await overEach(objects, async ({ digest, packed }) =>
    storeIndexObject(edge, digest, await unpackedOrRefused(packed, digest)),
  );
  return acceptedResponse(200);
}

async function unpackedOrRefused(packed: Uint8Array, digest: Digest): Promise<Uint8Array> {
  const bytes = await unpackObject(packed, digest);
  if (bytes !== undefined) return bytes;
  throw new RegistryError("DIGEST_INVALID", `these bytes are not ${digest}`);
}

/** What can be made is kept, so that the origin has less to send whole. */
export async function ingestIndexPatches(edge: Edge, body: Uint8Array): Promise<Response> {
  const patches = await parsePatches(body);
  if (patches === undefined) throw malformed("patches of an index");
  const lacking: Digest[] = [];
  await overEach(patches, async (patch) => {
    const bytes = await patched(edge, patch);
    if (bytes === undefined) lacking.push(patch.digest);
    else await storeIndexObject(edge, patch.digest, bytes);
  });
  refuseLacking(lacking, "objects cannot be made here of what they are patches of");
  return acceptedResponse(200);
}

async function patched(edge: Edge, patch: IndexPatch): Promise<Uint8Array | undefined> {
  const base =
    patch.base === null ? null : await readIndexObject(edge, patch.base, MAX_PATCHED_BYTES);
  if (base === undefined) return undefined;
  const bytes = applyPatch(patch, base);
  return bytes !== undefined && (await digestOf(bytes)) === patch.digest ? bytes : undefined;
}

export async function ingestIndexRoot(edge: Edge, body: Uint8Array): Promise<Response> {
  const root = await unpackRoot(body);
  if (root === undefined) throw malformed("the root of an index");
  const reads = bulkReadsOf(objectsOf(root));
  if (reads.length + 1 > MAX_CALLS_PER_BODY) {
    throw new RegistryError("SIZE_INVALID", "the index is larger than an edge can look through");
  }
  refuseLacking(await missingObjects(edge, reads), "objects of the index are not stored here");
  await storeIndexRoot(edge, root);
  return acceptedResponse(200);
}

function malformed(what: string): RegistryError {
  return new RegistryError("MANIFEST_INVALID", `the body is not as it should be: no ${what}`);
}
