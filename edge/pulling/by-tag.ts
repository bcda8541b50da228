// A pull by tag: what is kept, composition, what the package index says is absent, origin, in this order. A
// stale answer is given at once and refreshed behind it, so that a channel that moved never makes a user wait.

import { KEPT_HEADER } from "../../registry/between/keeping.ts";
import { manifestResponse, PACKING_HEADER, PIN_HEADER } from "../../registry/http/content.ts";
import { RegistryError } from "../../registry/http/error.ts";
import { withPageAddress } from "../../registry/http/page-address.ts";
import {
  canonicalImage,
  originHeaders,
  type WantedImage,
  wantedImage,
  wantedRecipes,
} from "../../registry/http/platforms.ts";
import type { Route } from "../../registry/http/route.ts";
import { manifestsOf, OMITTED_HEADER } from "../../registry/image/image-index.ts";
import { isIndexType } from "../../registry/image/media-type.ts";
import type { PackingId } from "../../registry/image/record.ts";
import type { Digest } from "../../registry/naming/digest.ts";
import type { Pin } from "../../registry/naming/pin.ts";
import type { Tag } from "../../registry/naming/reference.ts";
import type { Manifest } from "../isolate/manifest.ts";
import type { AskedHeaders } from "../origin-client/origin.ts";
import { isUnknownTag, unusable } from "../origin-client/origin-error.ts";
import type { Edge } from "../request/edge.ts";
import { type ImageName, imageKey } from "../storage/keys.ts";
import { type FoundManifest, lookupManifest, manifestInR2 } from "../storage/manifests.ts";
import {
  type FoundPointer,
  healPointer,
  lookupPointer,
  pointerInR2,
  removePointer,
  storePointer,
} from "../storage/pointers.ts";
import { forgetTagPins } from "../storage/tag-pins.ts";
import { keepComposed, noteAsked, rememberComposed } from "./keeping.ts";
import { composeKnown } from "./known-image.ts";
import { staleness } from "./staleness.ts";
import { tellComposed, tellTag } from "./telling.ts";
import { unlessAbsent } from "./unless-absent.ts";

export type ManifestRoute = Extract<Route, { kind: "manifest" }>;

export async function serveTag(
  edge: Edge,
  request: Request,
  route: ManifestRoute,
  tag: Tag,
): Promise<Response> {
  const variant = edge.variant();
  const image = wantedImage(route.recipe, edge.platforms, request.headers, variant);
  const wanted: Wanted = {
    image,
    repository: route.repository,
    name: { recipe: canonicalImage(image), tag, variant },
    isKept: false,
    isShown: request.method !== "HEAD",
  };
  const found = await lookupPointer(edge, wanted.name);
  const answer = found
    ? fromPointer(edge, wanted, found)
    : await elsewhere(edge, wanted, found).catch((error) => {
        if (!(error instanceof RegistryError)) throw error;
        throw withPageAddress(error, request, { repository: route.repository, tag });
      });
  return manifestResponse(request, answer.manifest, "tag", headersOf(edge, answer));
}

/**
 * What can be composed is composed before R2 is asked for what KV does not know: of what is asked for the
 * first time, which is most of it, neither has a pointer.
 */
async function elsewhere(edge: Edge, wanted: Wanted, found: null | undefined): Promise<Answer> {
  return (
    (await fromKnown(edge, wanted)) ??
    (found === null ? await fromR2(edge, wanted) : undefined) ??
    (await fromIndex(edge, wanted)) ??
    (await orAbsent(edge, wanted, () => fromOrigin(edge, wanted)))
  );
}

/** Of what is absent the origin is asked only where the tag may have moved on since. */
async function orAbsent(
  edge: Edge,
  { image, name: { tag }, isShown }: Wanted,
  fromOrigin: () => Promise<Answer>,
): Promise<Answer> {
  const recipes = image.kind === "image" ? [image.recipe] : image.recipes;
  const all = { recipes, tag, wanted: image.kind, withNear: isShown };
  return unlessAbsent(edge, all, fromOrigin);
}

/** One pull: what is wanted, and where it is kept here. */
interface Wanted {
  readonly image: WantedImage;
  /** As the client spelled it. */
  readonly repository: string;
  readonly name: ImageName;
  /** What is kept here is to be replaced by what is newer, which the origin else gives once it is pulled again. */
  readonly isKept: boolean;
  /** An answer is read, so that it is worth the work to say more. */
  readonly isShown: boolean;
}

interface Answer {
  readonly manifest: Manifest;
  readonly pin: Pin | undefined;
  readonly packing: PackingId | undefined;
  readonly warning: string | undefined;
  /** The platforms that an index lacks. */
  readonly omitted: string | undefined;
}

function fromPointer(edge: Edge, wanted: Wanted, { pointer, tier }: FoundPointer): Answer {
  const { manifest, pin, packing, omitted, resolvedAtMs } = pointer;
  edge.trace.hit(tier);
  if (tier !== "memory") edge.memory.store(manifest);
  const recipes = wantedRecipes(wanted.image);
  tellTag(edge, wanted.name, { ...pointer, recipes, manifests: [manifest.digest] });
  if (tier === "r2") edge.later("fill kv", () => healPointer(edge, wanted.name, pointer));
  const warning = refreshStale(edge, kept(wanted), resolvedAtMs, true);
  return { manifest, pin, packing, omitted, warning };
}

async function fromR2(edge: Edge, wanted: Wanted): Promise<Answer | undefined> {
  const found = await pointerInR2(edge, wanted.name);
  return found && fromPointer(edge, wanted, found);
}

async function fromKnown(edge: Edge, wanted: Wanted): Promise<Answer | undefined> {
  const { name } = wanted;
  const recipes = wantedRecipes(wanted.image);
  const known = await composeKnown(edge, recipes, name.tag, name.variant);
  if (known === undefined) return undefined;
  const { manifest, resolved, packing, isNewest } = known;
  edge.trace.hit("composed");
  rememberComposed(edge, known);
  tellComposed(edge, name, { ...known, recipes, pin: resolved.pin });
  const pointer = { manifest, ...resolved, packing, omitted: undefined };
  noteAsked(edge, imageKey(name), async () => {
    await keepComposed(edge, known);
    await storePointer(edge, name, pointer);
  });
  const warning = refreshStale(edge, wanted, resolved.resolvedAtMs, isNewest);
  return { ...pointer, warning };
}

/**
 * A client that takes no index gets the first image of it: which platform is the first that can be
 * had, only the index says.
 */
async function fromIndex(edge: Edge, wanted: Wanted): Promise<Answer | undefined> {
  const { image, name } = wanted;
  if (image.kind !== "first") return undefined;
  const recipe = canonicalImage({ ...image, kind: "index" });
  const indexName = { ...name, recipe };
  const pointed = await lookupPointer(edge, indexName);
  const index = (pointed === null ? await pointerInR2(edge, indexName) : pointed)?.pointer;
  const [first] = index === undefined ? [] : manifestsOf(index.manifest.bytes);
  const found = first === undefined ? undefined : await storedByDigest(edge, first);
  if (index === undefined || found === undefined) return undefined;
  edge.trace.hit(found.tier);
  const manifests = [found.manifest.digest, index.manifest.digest] as const;
  tellTag(edge, name, { ...index, recipes: wantedRecipes(image), manifests });
  const warning = refreshStale(edge, kept(wanted), index.resolvedAtMs, true);
  const { pin, packing } = index;
  return { manifest: found.manifest, pin, packing, warning, omitted: undefined };
}

async function storedByDigest(edge: Edge, digest: Digest): Promise<FoundManifest | undefined> {
  const found = await lookupManifest(edge, digest);
  return found === null ? manifestInR2(edge, digest) : found;
}

/**
 * HEAD asks for the bytes too: only what was hashed is answered, and the GET that follows is fast.
 */
async function fromOrigin(edge: Edge, wanted: Wanted): Promise<Answer> {
  const { image, repository, name } = wanted;
  edge.trace.miss();
  await edge.misses.admitPull();
  const reference = { kind: "tag", tag: name.tag } as const;
  const answer = await edge.trace.time("origin", () =>
    edge.origin.manifest(repository, reference, asked(edge, wanted)),
  );
  if (isIndexType(answer.manifest.mediaType) && image.kind !== "index") {
    throw unusable("an index where one manifest was asked for");
  }
  edge.memory.store(answer.manifest);
  return answer;
}

/** Why an answer may be outdated, which is then being refreshed; undefined for one that is fresh. */
function refreshStale(
  edge: Edge,
  wanted: Wanted,
  resolvedAtMs: number,
  isNewest: boolean,
): string | undefined {
  const warning = staleness(edge, wanted.name.tag, resolvedAtMs, isNewest);
  if (warning === undefined) return undefined;
  refreshBehind(edge, wanted);
  // The origin knows more of why there is nothing newer, once it was asked.
  return edge.refreshes.warningOf(imageKey(wanted.name)) ?? warning;
}

function kept(wanted: Wanted): Wanted {
  return { ...wanted, isKept: true };
}

/** How the origin is asked for it. */
function asked(edge: Edge, { image, name, isKept }: Wanted): AskedHeaders {
  const headers = originHeaders(image, edge.platforms, name.variant);
  return isKept ? { ...headers, [KEPT_HEADER]: "1" } : headers;
}

function refreshBehind(edge: Edge, wanted: Wanted): void {
  const key = imageKey(wanted.name);
  if (!edge.refreshes.claim(key, edge.now())) return;
  edge.later("refresh", () => refresh(edge, wanted, key));
}

async function refresh(edge: Edge, wanted: Wanted, key: string): Promise<void> {
  const { repository, name } = wanted;
  let warning: string | undefined;
  try {
    warning = await edge.origin.refresh(repository, name.tag, asked(edge, wanted));
  } catch (error) {
    if (!isUnknownTag(error)) throw error;
    edge.log({ level: "info", event: "tag forgotten", tag: name.tag });
    // The pins first: they would compose the image again.
    await forgetTagPins(edge, name.tag);
    await removePointer(edge, name);
  } finally {
    edge.refreshes.release(key, edge.now(), warning);
  }
}

function headersOf(edge: Edge, { pin, packing, warning, omitted }: Answer) {
  return {
    ...edge.trace.headers(),
    ...(pin !== undefined && { [PIN_HEADER]: pin }),
    ...(packing !== undefined && { [PACKING_HEADER]: packing }),
    ...(warning !== undefined && { Warning: warning }),
    ...(omitted !== undefined && { [OMITTED_HEADER]: omitted }),
  };
}
