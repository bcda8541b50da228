// A pull by digest: a manifest or a blob as it is stored, or a layer made again.

import { FOLLOW, REDIRECTS_HEADER } from "../../registry/between/redirects.ts";
import {
  type ContentPlan,
  hasBody,
  manifestResponse,
  planBlob,
  type RedirectStatus,
  redirectResponse,
} from "../../registry/http/content.ts";
import { RegistryError } from "../../registry/http/error.ts";
import {
  isManifestType,
  type ManifestType,
  OCI_MANIFEST,
} from "../../registry/image/media-type.ts";
import type { Digest } from "../../registry/naming/digest.ts";
import { failureError } from "../failures/failures.ts";
import type { LostLayers, Remade } from "../images/lost-layers.ts";
import type { BlobLinks } from "../storage/blob-links.ts";
import type { BlobStore } from "../storage/blob-store.ts";
import { type StorageKey, storageKey } from "../storage/keys.ts";
import { holdRequest, type StillUnderWay, type Wait } from "../waiting/hold-request.ts";
import { type Asker, type HoldLimits, holdFor } from "./asker.ts";

export interface PullingByDigest {
  readonly store: BlobStore;
  /** Null: all blobs are streamed. */
  readonly links: BlobLinks | null;
  readonly redirectStatus: RedirectStatus;
  readonly lost: LostLayers;
  /** For how long requests wait for lost layers. */
  readonly holds: HoldLimits;
}

export async function serveManifest(
  { store }: PullingByDigest,
  request: Request,
  digest: Digest,
): Promise<Response> {
  const bytes = await store.lookup(storageKey.manifest(digest));
  if (bytes === undefined) {
    throw new RegistryError("MANIFEST_UNKNOWN", `no manifest ${digest} is kept here`);
  }
  return manifestResponse(request, { digest, mediaType: mediaTypeOf(bytes), bytes }, "digest");
}

/** A layer that was evicted is made again, which takes as long as packing it. */
export async function serveBlob(
  options: PullingByDigest,
  request: Request,
  digest: Digest,
  asker: Asker,
): Promise<Response> {
  const { store } = options;
  const key = storageKey.layer(digest);
  const sizeBytes =
    (await store.sizeBytes(key)) ?? sizeOf(await remake(options, request, digest, asker));
  if (sizeBytes === undefined) {
    throw new RegistryError("BLOB_UNKNOWN", `no blob ${digest} is kept here`);
  }
  const plan = planBlob(request, { digest, sizeBytes });
  const link = isContent(plan) && (await linkFor(options, request, key, asker));
  if (link) return redirectResponse(digest, link, options.redirectStatus);
  if (!hasBody(request, plan)) return new Response(null, plan);
  const body = await store.open(key, plan.range);
  if (body === undefined) throw new RegistryError("BLOB_UNKNOWN", `blob ${digest} is gone`);
  return new Response(body, plan);
}

function isContent({ status }: ContentPlan): boolean {
  return status === 200 || status === 206;
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

/** A manifest says itself what it is (OCI image specification, `mediaType`). */
function mediaTypeOf(manifest: Uint8Array): ManifestType {
  const { mediaType } = JSON.parse(new TextDecoder().decode(manifest)) as { mediaType?: unknown };
  return typeof mediaType === "string" && isManifestType(mediaType) ? mediaType : OCI_MANIFEST;
}
