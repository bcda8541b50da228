// A pull of a blob: one that was just made or is stored, a layer made again, a config composed again. What
// is damaged is given to nobody.

import { FOLLOW, REDIRECTS_HEADER } from "../../registry/between/redirects.ts";
import { multipartBody } from "../../registry/http/byteranges.ts";
import {
  bytesResponse,
  type ContentPlan,
  hasBody,
  planBlob,
  redirectResponse,
  unverified,
} from "../../registry/http/content.ts";
import { RegistryError } from "../../registry/http/error.ts";
import type { ByteRange } from "../../registry/http/ranges.ts";
import type { Digest } from "../../registry/naming/digest.ts";
import { failureError } from "../failures/failures.ts";
import type { Remade } from "../images/lost-layers.ts";
import { openStoredBlob } from "../images/stored-blob.ts";
import { DISK_FAILS } from "../nix/hindrance.ts";
import type { BlobStore } from "../storage/blob-store.ts";
import { type StorageKey, storageKey } from "../storage/keys.ts";
import { holdRequest, type StillUnderWay, type Wait } from "../waiting/hold-request.ts";
import { type Asker, holdFor } from "./asker.ts";
import { askedName, type NamedDigest, type PullingByDigest } from "./by-digest.ts";

/** A layer that was evicted, or is damaged, is made again, which takes as long as packing it. */
export async function serveBlob(
  options: PullingByDigest,
  request: Request,
  named: NamedDigest,
  asker: Asker,
): Promise<Response> {
  const { digest } = named;
  const made = options.recent.configs.lookup(digest);
  if (made !== undefined) return bytesResponse(request, digest, made);
  const response =
    (await serveStoredBlob(options, request, named, asker)) ??
    (await serveStoredBlob(options, request, named, asker));
  if (response !== undefined) return response;
  throw failureError({ kind: "host-failed", reason: DISK_FAILS });
}

/** Undefined where it is damaged, and is there no more. */
async function serveStoredBlob(
  options: PullingByDigest,
  request: Request,
  named: NamedDigest,
  asker: Asker,
): Promise<Response | undefined> {
  const { store } = options;
  const { digest } = named;
  const key = storageKey.layer(digest);
  const sizeBytes =
    (await store.sizeBytes(key)) ?? sizeOf(await remake(options, request, digest, asker));
  if (sizeBytes === undefined) {
    const config = await configAgain(options, request, named);
    if (config !== undefined) return bytesResponse(request, digest, config);
    throw new RegistryError("BLOB_UNKNOWN", `no blob ${digest} is kept here`);
  }
  const plan = planBlob(request, { digest, sizeBytes, givesSeveral: true });
  const link = isHadElsewhere(plan) && (await linkFor(options, request, key, asker));
  if (link) return redirectResponse(digest, link, options.redirectStatus);
  if (!hasBody(request, plan)) return new Response(null, plan);
  if (plan.status === 206)
    return new Response(await openParts(store, digest, plan), unverified(plan));
  const blob = await openStoredBlob(options, digest, sizeBytes);
  switch (blob.kind) {
    case "bytes":
      return bytesResponse(request, digest, blob.bytes);
    case "stream":
      return new Response(blob.stream, plan);
    case "absent":
      throw gone(digest);
    case "damaged":
      return undefined;
    default:
      return blob satisfies never;
  }
}

/** A part cannot be hashed: its client hashes the whole that it puts together. */
function openParts(
  store: BlobStore,
  digest: Digest,
  { range, parts }: ContentPlan,
): Promise<ReadableStream<Uint8Array>> {
  const open = async (part: ByteRange | null) => {
    const body = await store.open(storageKey.layer(digest), part);
    if (body === undefined) throw gone(digest);
    return body;
  };
  return parts === null ? open(range) : multipartBody(parts, open);
}

function gone(digest: Digest): RegistryError {
  return new RegistryError("BLOB_UNKNOWN", `blob ${digest} is gone`);
}

/** A bucket gives one range at a time. */
function isHadElsewhere({ status, parts }: ContentPlan): boolean {
  return parts === null && (status === 200 || status === 206);
}

/** An edge says whether it goes where it is sent; one that says nothing is older than that. */
async function linkFor(
  { links }: PullingByDigest,
  { method, headers }: Request,
  key: StorageKey,
  { isKnown }: Asker,
): Promise<string | undefined> {
  const told = headers.get(REDIRECTS_HEADER);
  const follows = told === null ? !isKnown : told === FOLLOW;
  if (!follows) return undefined;
  return links?.to(key, method === "HEAD" ? "HEAD" : "GET");
}

async function configAgain(
  options: PullingByDigest,
  { headers }: Request,
  { recipe, digest }: NamedDigest,
): Promise<Uint8Array | undefined> {
  const composed = await options.again.config(askedName(options, headers, recipe), digest);
  const [image] = composed?.images ?? [];
  if (image === undefined) return undefined;
  options.recent.configs.store(image.config);
  return image.config.bytes;
}

function remake(
  { lost, holds }: PullingByDigest,
  request: Request,
  digest: Digest,
  asker: Asker,
): Promise<Remade | StillUnderWay> {
  const hold = holdFor(holds, request, asker, "blob");
  const work = ({ demand, onStage }: Wait) => {
    onStage(() => ({ kind: "packing" }));
    return lost.remake(digest, demand);
  };
  return holdRequest(work, hold, {
    isBusy: ({ kind }) => kind === "busy",
    // Made for the next who asks, or not: then that one is told why.
    onLate: () => undefined,
  });
}

function sizeOf(remade: Remade | StillUnderWay): number | undefined {
  switch (remade.kind) {
    case "remade":
      return remade.layer.sizeBytes;
    case "gone":
      return undefined;
    case "timed-out":
      throw failureError({ ...remade, what: "build" });
    case "still-under-way":
    case "cancelled":
    case "busy":
    case "cache-failed":
    case "source-unreachable":
    case "host-failed":
      throw failureError(remade);
    default:
      return remade satisfies never;
  }
}
