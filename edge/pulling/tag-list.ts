// The tag list of a name: where all its packages are known here, else where the origin has one.

import { RegistryError } from "../../registry/http/error.ts";
import { formatPlatforms, PLATFORMS_HEADER, recipesOf } from "../../registry/http/platforms.ts";
import type { Route } from "../../registry/http/route.ts";
import { tagListResponse } from "../../registry/http/tags.ts";
import { LATEST } from "../../registry/naming/reference.ts";
import type { Edge } from "../request/edge.ts";
import { areNamesKnown } from "./known-parts.ts";
import { unlessAbsent } from "./unless-absent.ts";

export async function serveTagList(
  edge: Edge,
  request: Request,
  { repository, recipe }: Extract<Route, { kind: "tags" }>,
): Promise<Response> {
  const recipes = recipesOf(recipe, edge.platforms);
  if (await areNamesKnown(edge, recipes, LATEST)) edge.trace.hit("kv");
  else {
    const name = {
      recipes,
      tag: LATEST,
      wanted: "tags",
      withNear: request.method !== "HEAD",
    } as const;
    await unlessAbsent(edge, name, () => askOrigin(edge, repository)).catch(unlisted);
  }
  return tagListResponse(repository, new URL(request.url), request.method);
}

async function askOrigin(edge: Edge, repository: string): Promise<void> {
  edge.trace.miss();
  await edge.misses.admitPull();
  const asked = { [PLATFORMS_HEADER]: formatPlatforms(edge.platforms) };
  await edge.trace.time("origin", () => edge.origin.listsTags(repository, asked));
}

/** What a pull would be told, except that it is the name that is not there. */
function unlisted(error: unknown): never {
  if (!(error instanceof RegistryError) || error.code !== "MANIFEST_UNKNOWN") throw error;
  throw new RegistryError("NAME_UNKNOWN", error.message, error.options);
}
