// The edge's policy on one screen: what each route is answered from.

import { pingResponse } from "../registry/http/answer.ts";
import { referrersResponse } from "../registry/http/referrers.ts";
import type { Route } from "../registry/http/route.ts";
import { serveBlob } from "./pulling/blobs.ts";
import { serveDigest } from "./pulling/by-digest.ts";
import { serveTag } from "./pulling/by-tag.ts";
import { serveTagList } from "./pulling/tag-list.ts";
import type { Edge } from "./request/edge.ts";

export async function handle(edge: Edge, request: Request, route: Route): Promise<Response> {
  switch (route.kind) {
    case "ping":
      return pingResponse(request.method);
    case "manifest":
      return route.reference.kind === "tag"
        ? serveTag(edge, request, route, route.reference.tag)
        : serveDigest(edge, request, route, route.reference.digest);
    case "blob":
      return serveBlob(edge, request, route);
    case "tags":
      return serveTagList(edge, request, route);
    case "referrers":
      return referrersResponse(new URL(request.url), request.method);
    default:
      return route satisfies never;
  }
}
