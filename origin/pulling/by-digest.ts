// A pull by digest: a manifest or a blob that was just made or is stored, a layer made again, a manifest
// or a config composed again.

import { FOLLOW, REDIRECTS_HEADER } from "../../registry/between/redirects.ts";
import { multipartBody } from "../../registry/http/byteranges.ts";
import {
  bytesResponse,
  type ContentPlan,
  hasBody,
  manifestResponse,
  planBlob,
  type RedirectStatus,
  redirectResponse,
  unverified,
} from "../../registry/http/content.ts";
import { RegistryError } from "../../registry/http/error.ts";
import { chooseVariant, type ZstdUse } from "../../registry/http/negotiation.ts";
import {
  PLATFORMS_HEADER,
  type Platforms,
  parsePlatforms,
  recipesOf,
} from "../../registry/http/platforms.ts";
import type { ByteRange } from "../../registry/http/ranges.ts";
import {
  isManifestType,
  type ManifestType,
  OCI_MANIFEST,
} from "../../registry/image/media-type.ts";
import type { Digest } from "../../registry/naming/digest.ts";
import type { NamedRecipe } from "../../registry/naming/recipe.ts";
import { failureError } from "../failures/failures.ts";
import type { Composition, KeptImages } from "../images/kept-images.ts";
import type { LostLayers, Remade } from "../images/lost-layers.ts";
import { openStoredBlob } from "../images/stored-blob.ts";
import { storedManifest } from "../images/stored-manifest.ts";
import type { Log } from "../log/log.ts";
import type { RecentImages } from "../memory/recent-documents.ts";
import { DISK_FAILS } from "../nix/hindrance.ts";
import type { PullNotes } from "../pulled/pull-notes.ts";
import type { BlobLinks } from "../storage/blob-links.ts";
import type { BlobStore } from "../storage/blob-store.ts";
import { type StorageKey, storageKey } from "../storage/keys.ts";
import { holdRequest, type StillUnderWay, type Wait } from "../waiting/hold-request.ts";
import { type Asker, type HoldLimits, holdFor } from "./asker.ts";
import type { AskedName, ComposedAgain } from "./composed-again.ts";

export interface PullingByDigest {
  readonly store: BlobStore;
  /** Null: all blobs are streamed. */
  readonly links: BlobLinks | null;
  readonly redirectStatus: RedirectStatus;
  readonly recent: RecentImages;
  readonly again: Pick<ComposedAgain, "manifest" | "config">;
  readonly kept: KeptImages;
  readonly lost: LostLayers;
  readonly pulls: PullNotes;
  readonly log: Log;
  /** What a name may stand for, unless the edge says. */
  readonly platforms: Platforms;
  readonly zstd: ZstdUse;
  /** For how long requests wait for lost layers. */
  readonly holds: HoldLimits;
}

/** Under the name that the client says. */
export interface NamedDigest {
  readonly recipe: NamedRecipe;
  readonly digest: Digest;
}

export async function serveManifest(
  options: PullingByDigest,
  request: Request,
  named: NamedDigest,
): Promise<Response> {
  const { digest } = named;
  const stored = await storedManifest(options.store, digest);
  if (stored !== undefined) options.pulls.pulledAgain(digest);
  const bytes = stored ?? (await unkeptManifest(options, request, named));
  if (bytes === undefined) {
    const why = `no manifest ${digest} is kept here, and no image of this name that is known has it`;
    throw new RegistryError("MANIFEST_UNKNOWN", why);
  }
  return manifestResponse(request, { digest, mediaType: mediaTypeOf(bytes), bytes }, "digest");
}

/** Whoever asks for it again has it kept, and at once who asks for what its tag no longer has. */
async function unkeptManifest(
  { recent, again, kept, pulls, ...options }: PullingByDigest,
  { headers }: Request,
  { recipe, digest }: NamedDigest,
): Promise<Uint8Array | undefined> {
  const compose = () => again.manifest(askedName(options, headers, recipe), digest);
  const made = recent.manifests.lookup(digest);
  const composed = made === undefined ? await compose() : undefined;
  if (made === undefined && composed === undefined) return undefined;
  if (composed === undefined) pulls.pulledAgain(digest);
  else {
    rememberAll(recent, composed);
    for (const each of composed.pulled) pulls.pulled(each);
  }
  if (kept.isWanted(digest) || composed?.isEarlier) {
    const whole = composed ?? (await compose());
    if (whole !== undefined) await kept.keep(whole);
  }
  return made ?? composed?.manifest.bytes;
}

function rememberAll(
  { manifests, configs }: RecentImages,
  { images, manifest }: Composition,
): void {
  for (const image of images) {
    manifests.store(image.manifest);
    configs.store(image.config);
  }
  manifests.store(manifest);
}

function askedName(
  { platforms, zstd }: Pick<PullingByDigest, "platforms" | "zstd">,
  headers: Headers,
  recipe: NamedRecipe,
): AskedName {
  const asked = parsePlatforms(headers.get(PLATFORMS_HEADER) ?? "");
  return { recipes: recipesOf(recipe, asked ?? platforms), variant: chooseVariant(headers, zstd) };
}

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

/** A manifest says itself what it is (OCI image specification, `mediaType`). */
function mediaTypeOf(manifest: Uint8Array): ManifestType {
  const { mediaType } = JSON.parse(new TextDecoder().decode(manifest)) as { mediaType?: unknown };
  return typeof mediaType === "string" && isManifestType(mediaType) ? mediaType : OCI_MANIFEST;
}
