// A pull by digest: what is kept, what was composed here lately, what can be composed again, the origin.

import { manifestResponse } from "../../registry/http/content.ts";
import { digestHeaders, recipesOf } from "../../registry/http/platforms.ts";
import type { Digest } from "../../registry/naming/digest.ts";
import type { NamedRecipe } from "../../registry/naming/recipe.ts";
import type { Manifest } from "../isolate/manifest.ts";
import type { Edge } from "../request/edge.ts";
import { lookupManifest } from "../storage/manifests.ts";
import type { ManifestRoute } from "./by-tag.ts";
import { type AskedName, composeManifest } from "./composed-again.ts";
import { keepComposed, keepNow, noteAsked, rememberComposed } from "./keeping.ts";
import { tellComposed, tellDigest } from "./telling.ts";

export async function serveDigest(
  edge: Edge,
  request: Request,
  route: ManifestRoute,
  digest: Digest,
): Promise<Response> {
  const manifest =
    (await fromStorage(edge, digest)) ??
    (await composedAgain(edge, askedName(edge, route.recipe), digest)) ??
    (await fromOrigin(edge, route.repository, digest));
  return manifestResponse(request, manifest, "digest", edge.trace.headers());
}

export function askedName(edge: Edge, recipe: NamedRecipe): AskedName {
  return { recipes: recipesOf(recipe, edge.platforms), variant: edge.variant() };
}

async function fromStorage(edge: Edge, digest: Digest): Promise<Manifest | undefined> {
  const found = await lookupManifest(edge, digest);
  if (found === undefined) return undefined;
  edge.trace.hit(found.tier);
  tellDigest(edge, digest);
  return found.manifest;
}

async function composedAgain(
  edge: Edge,
  name: AskedName,
  digest: Digest,
): Promise<Manifest | undefined> {
  const composed = await composeManifest(edge, name, digest);
  if (composed === undefined) return undefined;
  edge.trace.hit("composed");
  rememberComposed(edge, composed);
  tellComposed(edge, null, { ...composed, recipes: name.recipes });
  const keep = () => keepComposed(edge, composed);
  if (composed.isEarlier) keepNow(edge, keep);
  else noteAsked(edge, digest, keep);
  return composed.manifest;
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
