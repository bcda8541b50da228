// The tag list of a name: where all its packages are known here, else where the origin has one.

import { formatPlatforms, PLATFORMS_HEADER, recipesOf } from "../../registry/http/platforms.ts";
import type { Route } from "../../registry/http/route.ts";
import { tagListResponse } from "../../registry/http/tags.ts";
import { LATEST } from "../../registry/naming/reference.ts";
import type { Edge } from "../request/edge.ts";
import { areNamesKnown } from "./known-parts.ts";

export async function serveTagList(
  edge: Edge,
  request: Request,
  { repository, recipe }: Extract<Route, { kind: "tags" }>,
): Promise<Response> {
  const recipes = recipesOf(recipe, edge.platforms);
  if (await areNamesKnown(edge, recipes, LATEST)) edge.trace.hit("kv");
  else {
    edge.trace.miss();
    await edge.misses.admitPull();
    const asked = { [PLATFORMS_HEADER]: formatPlatforms(edge.platforms) };
    await edge.trace.time("origin", () => edge.origin.listsTags(repository, asked));
  }
  return tagListResponse(repository, new URL(request.url), request.method);
}
