// The tag list of a name, which there is where its packages are: looked up at what `latest` is, and
// nothing is built for it.

import { RegistryError } from "../../registry/http/error.ts";
import {
  PLATFORMS_HEADER,
  type Platforms,
  parsePlatforms,
  recipesOf,
} from "../../registry/http/platforms.ts";
import { tagListResponse } from "../../registry/http/tags.ts";
import { type NamedRecipe, namesOf, type Recipe, systemOf } from "../../registry/naming/recipe.ts";
import { LATEST } from "../../registry/naming/reference.ts";
import { type BuildFailure, failureError } from "../failures/failures.ts";
import { lookupFailure } from "../images/images.ts";
import type { Lookups } from "../images/lookups.ts";
import type { PinnedTag, Pins } from "../sources/pins.ts";
import { holdRequest, type Wait } from "../waiting/hold-request.ts";
import { type Asker, type HoldLimits, holdFor } from "./asker.ts";

export interface ListingTags {
  readonly platforms: Platforms;
  readonly pins: Pick<Pins, "resolve" | "lastLoading">;
  readonly lookups: Pick<Lookups, "find" | "stage">;
  readonly holds: HoldLimits;
}

export async function serveTagList(
  options: ListingTags,
  request: Request,
  { repository, recipe }: { readonly repository: string; readonly recipe: NamedRecipe },
  asker: Asker,
): Promise<Response> {
  const asked = parsePlatforms(request.headers.get(PLATFORMS_HEADER) ?? "");
  const recipes = recipesOf(recipe, asked ?? options.platforms);
  const hold = holdFor(options.holds, request, asker);
  const failure = await holdRequest((wait) => whyUnknown(options, recipes, wait), hold, {
    isBusy: (result) => result?.kind === "busy",
    // The next who asks finds it.
    onLate: () => {},
  });
  if (failure !== null) throw unlisted(failure);
  return tagListResponse(repository, new URL(request.url), request.method);
}

/** Null where all names are found on one of the platforms. */
async function whyUnknown(
  options: ListingTags,
  recipes: readonly [Recipe, ...Recipe[]],
  wait: Wait,
): Promise<BuildFailure | null> {
  const { pins } = options;
  const pinned = await pins.resolve(LATEST);
  if (pinned.kind !== "pinned") return pinned;
  const failure = await whyUnknownAt(options, pinned, recipes, wait);
  if (failure?.kind !== "set-failed") return failure;
  // A pull is answered at the revision before, so it must be listed as well.
  const last = await pins.lastLoading(LATEST);
  if (last === undefined || last.pin === pinned.pin) return failure;
  return (await whyUnknownAt(options, last, recipes, wait)) === null ? null : failure;
}

async function whyUnknownAt(
  { lookups }: ListingTags,
  pinned: PinnedTag,
  recipes: readonly [Recipe, ...Recipe[]],
  { demand, onStage }: Wait,
): Promise<BuildFailure | null> {
  onStage(() => lookups.stage(pinned));
  const failures: BuildFailure[] = [];
  for (const recipe of recipes) {
    const system = systemOf(recipe.architecture);
    const found = await lookups.find(pinned, system, namesOf(recipe), demand);
    const failure = lookupFailure(recipe, found);
    if (failure === undefined) return null;
    failures.push(failure);
  }
  return failures[0] ?? null;
}

/** What a pull would be told, except that it is the name that is not there. */
function unlisted(failure: BuildFailure): RegistryError {
  const { code, message, options } = failureError(failure);
  return new RegistryError(code === "MANIFEST_UNKNOWN" ? "NAME_UNKNOWN" : code, message, options);
}
