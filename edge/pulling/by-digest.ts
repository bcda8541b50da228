// A pull by digest: what is kept, what was composed here lately, what can be composed again, the origin.

import { manifestResponse } from "../../registry/http/content.ts";
import { digestHeaders, recipesOf } from "../../registry/http/platforms.ts";
import type { Digest } from "../../registry/naming/digest.ts";
import type { NamedRecipe } from "../../registry/naming/recipe.ts";
import type { Manifest } from "../isolate/manifest.ts";
import type { Edge } from "../request/edge.ts";
import { type FoundManifest, lookupManifest, manifestInR2 } from "../storage/manifests.ts";
import type { ManifestRoute } from "./by-tag.ts";
import { type AskedName, type ComposedAgain, manifestTries } from "./composed-again.ts";
import { keepComposed, keepNow, noteAsked, rememberComposed } from "./keeping.ts";
import { tellComposed, tellDigest } from "./telling.ts";

export async function serveDigest(
  edge: Edge,
  request: Request,
  route: ManifestRoute,
  digest: Digest,
): Promise<Response> {
  const found = await lookupManifest(edge, digest);
  const manifest = found ? fromStorage(edge, found) : await elsewhere(edge, route, digest, found);
  return manifestResponse(request, manifest, "digest", edge.trace.headers());
}

/**
 * Of what KV does not know most was composed a moment ago, by another isolate: so the likeliest is composed
 * before R2 is asked.
 */
async function elsewhere(
  edge: Edge,
  { recipe, repository }: ManifestRoute,
  digest: Digest,
  found: null | undefined,
): Promise<Manifest> {
  const name = askedName(edge, recipe);
  const tries = manifestTries(edge, name, digest);
  const likeliest = (await tries.next()).value;
  if (likeliest) return fromKnown(edge, name, likeliest);
  const stored = found === null ? await manifestInR2(edge, digest) : undefined;
  if (stored !== undefined) return fromStorage(edge, stored);
  for await (const composed of tries) {
    if (composed !== undefined) return fromKnown(edge, name, composed);
  }
  return fromOrigin(edge, repository, digest);
}

export function askedName(edge: Edge, recipe: NamedRecipe): AskedName {
  return { recipes: recipesOf(recipe, edge.platforms), variant: edge.variant() };
}

function fromStorage(edge: Edge, { manifest, tier }: FoundManifest): Manifest {
  edge.trace.hit(tier);
  tellDigest(edge, manifest.digest);
  return manifest;
}

function fromKnown(edge: Edge, name: AskedName, composed: ComposedAgain): Manifest {
  const { manifest, isEarlier } = composed;
  edge.trace.hit("composed");
  rememberComposed(edge, composed);
  tellComposed(edge, null, { ...composed, recipes: name.recipes });
  const keep = () => keepComposed(edge, composed);
  if (isEarlier) keepNow(edge, keep);
  else noteAsked(edge, manifest.digest, keep);
  return manifest;
}

async function fromOrigin(edge: Edge, repository: string, digest: Digest): Promise<Manifest> {
  edge.trace.miss();
  await edge.misses.admitPull();
  const asked = digestHeaders(edge.platforms, edge.variant());
  const { manifest } = await edge.trace.time("origin", () =>
    edge.origin.manifest(repository, { kind: "digest", digest }, asked),
  );
  edge.memory.store(manifest);
  return manifest;
}
