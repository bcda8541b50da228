// The edge's policy on one screen: what each route is answered from.

import { pingResponse } from "../registry/http/answer.ts";
import { manifestResponse } from "../registry/http/content.ts";
import { referrersResponse } from "../registry/http/referrers.ts";
import type { Route } from "../registry/http/route.ts";
import type { Digest } from "../registry/naming/digest.ts";
import { serveBlob } from "./pulling/blobs.ts";
import { type ManifestRoute, serveTag } from "./pulling/by-tag.ts";
import { serveTagList } from "./pulling/tag-list.ts";
import type { Edge } from "./request/edge.ts";
import { lookupManifest } from "./storage/manifests.ts";

export async function handle(edge: Edge, request: Request, route: Route): Promise<Response> {
  switch (route.kind) {
    case "ping":
      return pingResponse(request.method);
    case "manifest":
      return route.reference.kind === "tag"
        ? serveTag(edge, request, route, route.reference.tag)
        : serveDigest(edge, request, route, route.reference.digest);
    case "blob":
      return serveBlob(edge, request, route.digest);
    case "tags":
      return serveTagList(edge, request, route);
    case "referrers":
      return referrersResponse(new URL(request.url), request.method);
    default:
      return route satisfies never;
  }
}

async function serveDigest(
  edge: Edge,
  request: Request,
  route: ManifestRoute,
  digest: Digest,
): Promise<Response> {
  const found = await lookupManifest(edge, digest);
  if (found !== undefined) edge.trace.hit(found.tier);
  const manifest = found?.manifest ?? (await fromOrigin(edge, route, digest));
  return manifestResponse(request, manifest, "digest");
}

async function fromOrigin(edge: Edge, { repository }: ManifestRoute, digest: Digest) {
  edge.trace.miss();
  await edge.misses.admitPull();
  const { manifest } = await edge.trace.time("origin", () =>
    edge.origin.manifest(repository, { kind: "digest", digest }, {}),
  );
  edge.memory.store(manifest);
  return manifest;
}
