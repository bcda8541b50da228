// A pull by tag: pointer, composition, origin, in this order. A stale answer is given at once and
// refreshed behind it, so that a channel that moved never makes a user wait.

import { planManifest } from "../registry/content.ts";
import { type Pin, parsePin } from "../registry/pin.ts";
import { canonicalRecipe } from "../registry/recipe.ts";
import type { Tag } from "../registry/reference.ts";
import type { Route } from "../registry/route.ts";
import { chooseVariant } from "../registry/variant.ts";
import { describeAge, movedWarning, staleWarning } from "../registry/warning.ts";
import type { Edge } from "./edge.ts";
import type { ImageName } from "./keys.ts";
import { composeKnown } from "./known-image.ts";
import type { Manifest } from "./manifest-memory.ts";
import { isUnknownTag } from "./origin-error.ts";
import { healPointer, lookupPointer, removePointer, storePointer } from "./pointers.ts";
import { forgetTagPins } from "./tag-pins.ts";

export type ManifestRoute = Extract<Route, { kind: "manifest" }>;

/** Which revision of the package source answered. */
export const PIN_HEADER = "Nixport-Pin";

export async function serveTag(
  edge: Edge,
  request: Request,
  route: ManifestRoute,
  tag: Tag,
): Promise<Response> {
  const variant = chooseVariant(request.headers);
  const name: ImageName = { recipe: canonicalRecipe(route.recipe), tag, variant };
  return (
    (await fromPointer(edge, request, route, name)) ??
    (await fromKnown(edge, request, route, name)) ??
    (await fromOrigin(edge, request, route, name))
  );
}

async function fromPointer(
  edge: Edge,
  request: Request,
  route: ManifestRoute,
  name: ImageName,
): Promise<Response | undefined> {
  const found = await lookupPointer(edge, name);
  if (found === undefined) return undefined;
  const { pointer, tier } = found;
  edge.trail.hit(tier);
  edge.memory.store(pointer.manifest);
  if (tier === "r2") edge.later("fill kv", () => healPointer(edge, name, pointer));
  const warning = staleness(edge, name.tag, pointer.resolvedAtMs, true);
  if (warning !== undefined) refreshBehind(edge, route, name);
  return manifestResponse(request, pointer.manifest, pointer.pin, warning);
}

async function fromKnown(
  edge: Edge,
  request: Request,
  route: ManifestRoute,
  name: ImageName,
): Promise<Response | undefined> {
  const known = await composeKnown(edge, route.recipe, name.tag, name.variant);
  if (known === undefined) return undefined;
  const { manifest, resolved, isNewest } = known;
  edge.trail.hit("composed");
  edge.later("store pointer", () => storePointer(edge, name, { manifest, ...resolved }));
  const warning = staleness(edge, name.tag, resolved.resolvedAtMs, isNewest);
  if (warning !== undefined) refreshBehind(edge, route, name);
  return manifestResponse(request, manifest, resolved.pin, warning);
}

/** HEAD asks for the bytes too: only what was hashed is answered, and the GET that follows is fast. */
async function fromOrigin(
  edge: Edge,
  request: Request,
  { repository }: ManifestRoute,
  { tag, variant }: ImageName,
): Promise<Response> {
  edge.trail.miss();
  await edge.admitMiss();
  const answer = await edge.trail.time("origin", () =>
    edge.origin.manifest(repository, { kind: "tag", tag }, variant),
  );
  edge.memory.store(answer.manifest);
  return manifestResponse(request, answer.manifest, answer.pin, answer.warning);
}

/** Why an answer may be outdated; undefined for one that is fresh. A tag that is a pin always is. */
function staleness(
  edge: Edge,
  tag: Tag,
  resolvedAtMs: number,
  isNewest: boolean,
): string | undefined {
  if (parsePin(tag) !== undefined) return undefined;
  if (!isNewest) return movedWarning(tag);
  const ageMs = edge.now() - resolvedAtMs;
  if (ageMs < edge.pinFreshMs) return undefined;
  return staleWarning(`${tag} was last resolved ${describeAge(ageMs)} ago; it is being refreshed`);
}

function refreshBehind(edge: Edge, { repository }: ManifestRoute, name: ImageName): void {
  const key = `${name.variant}/${name.tag}/${name.recipe}`;
  if (!edge.refreshes.claim(key, edge.now())) return;
  edge.later("refresh", () => refresh(edge, repository, name, key));
}

async function refresh(
  edge: Edge,
  repository: string,
  name: ImageName,
  key: string,
): Promise<void> {
  try {
    await edge.origin.refresh(repository, name.tag, name.variant);
  } catch (error) {
    if (!isUnknownTag(error)) throw error;
    edge.log({ level: "info", event: "tag forgotten", tag: name.tag });
    // The pins first: they would compose the image again.
    await forgetTagPins(edge, name.tag);
    await removePointer(edge, name);
  } finally {
    edge.refreshes.release(key, edge.now());
  }
}

function manifestResponse(
  request: Request,
  { digest, mediaType, bytes }: Manifest,
  pin: Pin | undefined,
  warning: string | undefined,
): Response {
  const content = { digest, mediaType, sizeBytes: bytes.length };
  const { status, headers } = planManifest(request.headers, content, "tag");
  if (pin !== undefined) headers.set(PIN_HEADER, pin);
  if (warning !== undefined) headers.set("Warning", warning);
  const bodyless = request.method === "HEAD" || status !== 200;
  return new Response(bodyless ? null : bytes, { status, headers });
}
