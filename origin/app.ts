// The origin's answers: one switch over the route, GET and HEAD alike, one error boundary.

import { Hono } from "hono";
import { pingResponse } from "../registry/answer.ts";
import { manifestResponse, PACKING_HEADER, PIN_HEADER, planBlob } from "../registry/content.ts";
import type { Digest } from "../registry/digest.ts";
import { errorResponse, RegistryError } from "../registry/error.ts";
import { OMITTED_HEADER, omittedHeader } from "../registry/image-index.ts";
import { isManifestType, type ManifestType, OCI_MANIFEST } from "../registry/media-type.ts";
import { chooseVariant } from "../registry/negotiation.ts";
import {
  PLATFORMS_HEADER,
  type Platforms,
  parsePlatforms,
  type WantedImage,
  wantedImage,
} from "../registry/platforms.ts";
import type { NamedRecipe } from "../registry/recipe.ts";
import type { Tag } from "../registry/reference.ts";
import { isBelowV2, parseRoute, type Route } from "../registry/route.ts";
import { tagListResponse } from "../registry/tags.ts";
import { type SecretKey, verifyRequest } from "../registry/token.ts";
import type { Variant } from "../registry/variant.ts";
import { describeAge, movedWarning, staleWarning } from "../registry/warning.ts";
import type { Outbox } from "./backfill/outbox.ts";
import { failureError } from "./failures/failures.ts";
import type { BuiltForPlatforms } from "./images/answer.ts";
import type { LostLayers, Remade } from "./images/lost-layers.ts";
import type { PackedLayers } from "./images/packed-layers.ts";
import { buildForPlatforms, type FailedBuild } from "./images/platform-images.ts";
import type { TaggedImages } from "./images/tagged-images.ts";
import type { Log } from "./log.ts";
import { factsOf, layersOf, openPullNote, type PullNote } from "./pull-note.ts";
import type { BlobStore } from "./storage/blob-store.ts";
import { storageKey } from "./storage/keys.ts";
import { hold, type StillUnderWay, type Wait } from "./waiting/hold.ts";
import type { StageLog } from "./waiting/stage-log.ts";
import type { WebSite } from "./web/site.ts";

export interface AppOptions {
  /** What a name without a platform is built for, unless the edge asks for others. */
  readonly platforms: Platforms;
  readonly images: TaggedImages;
  readonly lost: LostLayers;
  readonly layers: Pick<PackedLayers, "watch">;
  readonly stages: StageLog;
  readonly store: BlobStore;
  /** Absent where there is no edge to fill. */
  readonly outbox: Outbox | null;
  /** Who may pull: anyone, or only an edge that signs its requests. */
  readonly access: "anyone" | "edge";
  /** For how long a request waits for its image. */
  readonly holdMs: number;
  readonly secretKeys: readonly SecretKey[];
  /** What is not below /v2, for anyone: whoever names a folder for it wants it seen. */
  readonly web: WebSite | null;
  readonly log: Log;
  readonly now: () => number;
}

export function createApp(options: AppOptions): Hono {
  const app = new Hono();
  app.all("*", async (context) => {
    const request = context.req.raw;
    const startedMs = options.now();
    options.log.debug({ method: request.method, path: context.req.path }, "asked");
    const note = openPullNote();
    const response = await answer(options, request, note);
    options.log.info(
      {
        method: request.method,
        path: context.req.path,
        status: response.status,
        ms: options.now() - startedMs,
        ...note.facts(),
      },
      "answered",
    );
    return response;
  });
  return app;
}

async function answer(options: AppOptions, request: Request, note: PullNote): Promise<Response> {
  try {
    const url = new URL(request.url);
    if (options.web !== null && !isBelowV2(url)) return await options.web.serve(request, url);
    const route = parseRoute(request.method, url);
    await authorise(options, request, url);
    return await serve(options, request, route, note);
  } catch (error) {
    if (error instanceof RegistryError) {
      note.refused(error);
      return errorResponse(error, request.method);
    }
    if (request.signal.aborted) {
      note.left();
      return errorResponse(new RegistryError("UNAVAILABLE", "the client has left"), request.method);
    }
    options.log.error({ err: error, path: request.url }, "a request failed");
    const failed = new RegistryError("UNKNOWN", "internal error");
    note.refused(failed);
    return errorResponse(failed, request.method);
  }
}

async function authorise(options: AppOptions, request: Request, url: URL): Promise<void> {
  if (options.access === "anyone") return;
  const { method, headers } = request;
  const signed = { method, path: url.pathname };
  const authorization = headers.get("Authorization");
  if (await verifyRequest(options.secretKeys, "edge", signed, authorization, options.now())) return;
  throw new RegistryError("UNAUTHORIZED", "this origin answers its edge only: pull from the edge");
}

async function serve(
  options: AppOptions,
  request: Request,
  route: Route,
  note: PullNote,
): Promise<Response> {
  switch (route.kind) {
    case "ping":
      return pingResponse(request.method);
    case "manifest":
      return route.reference.kind === "tag"
        ? serveTag(options, request, { ...route, tag: route.reference.tag }, note)
        : serveManifest(options, request, route.reference.digest);
    case "blob":
      return serveBlob(options, request, route.digest);
    case "tags":
      return tagListResponse(route.repository, new URL(request.url), request.method);
    default:
      return route satisfies never;
  }
}

async function serveTag(
  options: AppOptions,
  request: Request,
  { repository, recipe, tag }: TaggedName,
  note: PullNote,
): Promise<Response> {
  const asked = parsePlatforms(request.headers.get(PLATFORMS_HEADER) ?? "");
  const variant = chooseVariant(request.headers);
  note.asked(repository, tag, variant);
  const wanted = wantedImage(recipe, asked ?? options.platforms, request.headers, variant);
  const newBytes = options.layers.watch();
  const name = { image: repository, tag, variant };
  const built = await heldBuild(options, request, { wanted, name, newBytes });
  if (built.kind === "still-under-way") throw failureError(built);
  if (built.kind === "failed") throw built.error;
  note.built(built, newBytes(layersOf(built)));
  const response = manifestResponse(request, built.manifest, "tag");
  const { headers } = response;
  headers.set(PIN_HEADER, built.pinned.pin);
  headers.set(PACKING_HEADER, built.packing);
  const omitted = omittedHeader(built.omitted);
  if (omitted !== undefined) headers.set(OMITTED_HEADER, omitted);
  if (built.movedTo !== null) headers.set("Warning", movedWarning(tag));
  else if (built.pinned.outdated !== undefined) {
    const age = describeAge(options.now() - built.pinned.resolvedAtMs);
    const text = `${tag} was last resolved ${age} ago; the package source does not answer`;
    headers.set("Warning", staleWarning(text));
  }
  return response;
}

interface TaggedName {
  /** As the client spelled it. */
  readonly repository: string;
  readonly recipe: NamedRecipe;
  readonly tag: Tag;
}

interface WantedBuild {
  readonly wanted: WantedImage;
  readonly name: { readonly image: string; readonly tag: Tag; readonly variant: Variant };
  readonly newBytes: ReturnType<PackedLayers["watch"]>;
}

function heldBuild(
  { images, store, outbox, holdMs, stages, log, now }: AppOptions,
  request: Request,
  { wanted, name, newBytes }: WantedBuild,
): Promise<BuiltForPlatforms | FailedBuild | StillUnderWay> {
  const startedMs = now();
  const { image, tag, variant } = name;
  const build = async (wait: Wait) => {
    const built = await stages.watch({ image, tag }, wait, (watched) =>
      buildForPlatforms({ images, store }, wanted, tag, variant, watched),
    );
    // On disk before the answer: whatever a client was given reaches the edge, even after a kill. But
    // an earlier revision must not replace the newer one that may wait there.
    if (built.kind !== "failed" && built.movedTo === null) {
      await outbox?.add({ tag, variant, answered: built });
    }
    return built;
  };
  return hold(build, {
    holdMs,
    client: isAsynchronous(request) ? null : request.signal,
    onLate: (late) => {
      const facts = { path: new URL(request.url).pathname, ...name, ms: now() - startedMs };
      if (late.status === "rejected") {
        log.error({ err: late.reason, ...facts }, "a late build failed");
        return;
      }
      const { value } = late;
      const more =
        value.kind === "failed"
          ? { answer: "failed", message: value.error.message }
          : factsOf(value, newBytes(layersOf(value)));
      const outcome = value.kind;
      log.info({ ...facts, outcome, ...more }, "built after its request was answered");
    },
  });
}

/** Whoever says so (RFC 7240 §4.1) wants the image made whether it waits for it or not. */
function isAsynchronous({ headers }: Request): boolean {
  return /(^|,)\s*respond-async\s*($|[,;])/i.test(headers.get("Prefer") ?? "");
}

async function serveManifest(
  { store }: AppOptions,
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
async function serveBlob(
  { store, lost }: AppOptions,
  request: Request,
  digest: Digest,
): Promise<Response> {
  const key = storageKey.layer(digest);
  const sizeBytes =
    (await store.sizeBytes(key)) ?? sizeOf(await lost.remake(digest, request.signal));
  if (sizeBytes === undefined) {
    throw new RegistryError("BLOB_UNKNOWN", `no blob ${digest} is kept here`);
  }
  const { status, headers, range } = planBlob(request, { digest, sizeBytes });
  const bodyless = request.method === "HEAD" || status === 304 || status === 416;
  if (bodyless) return new Response(null, { status, headers });
  const body = await store.open(key, range);
  if (body === undefined) throw new RegistryError("BLOB_UNKNOWN", `blob ${digest} is gone`);
  return new Response(body, { status, headers });
}

function sizeOf(remade: Remade): number | undefined {
  switch (remade.kind) {
    case "remade":
      return remade.layer.sizeBytes;
    case "gone":
      return undefined;
    case "timed-out":
      throw failureError({ ...remade, what: "build" });
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
