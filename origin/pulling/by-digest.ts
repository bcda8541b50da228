// A pull of a manifest by its digest: one that was just made, is stored, or is composed again. Blobs are
// blobs.ts.

import { manifestResponse, type RedirectStatus } from "../../registry/http/content.ts";
import { RegistryError } from "../../registry/http/error.ts";
import { chooseVariant, type ZstdUse } from "../../registry/http/negotiation.ts";
import {
  PLATFORMS_HEADER,
  type Platforms,
  parsePlatforms,
  recipesOf,
} from "../../registry/http/platforms.ts";
import {
  isManifestType,
  type ManifestType,
  OCI_MANIFEST,
} from "../../registry/image/media-type.ts";
import type { Digest } from "../../registry/naming/digest.ts";
import type { NamedRecipe } from "../../registry/naming/recipe.ts";
import type { Composition, KeptImages } from "../images/kept-images.ts";
import type { LostLayers } from "../images/lost-layers.ts";
import { storedManifest } from "../images/stored-manifest.ts";
import type { Log } from "../log/log.ts";
import type { RecentImages } from "../memory/recent-documents.ts";
import type { PullNotes } from "../pulled/pull-notes.ts";
import type { BlobLinks } from "../storage/blob-links.ts";
import type { BlobStore } from "../storage/blob-store.ts";
import type { HoldLimits } from "./asker.ts";
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

/** Of an image that a digest is asked for under the name of. */
export function askedName(
  { platforms, zstd }: Pick<PullingByDigest, "platforms" | "zstd">,
  headers: Headers,
  recipe: NamedRecipe,
): AskedName {
  const asked = parsePlatforms(headers.get(PLATFORMS_HEADER) ?? "");
  return { recipes: recipesOf(recipe, asked ?? platforms), variant: chooseVariant(headers, zstd) };
}

/** A manifest says itself what it is (OCI image specification, `mediaType`). */
function mediaTypeOf(manifest: Uint8Array): ManifestType {
  const { mediaType } = JSON.parse(new TextDecoder().decode(manifest)) as { mediaType?: unknown };
  return typeof mediaType === "string" && isManifestType(mediaType) ? mediaType : OCI_MANIFEST;
}
