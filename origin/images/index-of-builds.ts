// An index of what was built for several platforms. A platform that a package does not support is left out
// and named; any other failure fails it, for an index that silently lost a platform would outlive the reason.

import { areUnsupported, platformsError } from "../../registry/failures/failed-platforms.ts";
import type { RegistryError } from "../../registry/http/error.ts";
import { composeIndex, type OmittedPlatform, omit } from "../../registry/image/image-index.ts";
import type { Variant } from "../../registry/image/variant.ts";
import type { Recipe } from "../../registry/naming/recipe.ts";
import { type BuildFailure, failureError } from "../failures/failures.ts";
import type { BuiltForPlatforms, PlatformBuild, TaggedImage } from "./answer.ts";

export interface FailedBuild {
  readonly kind: "failed";
  readonly error: RegistryError;
}

export interface FailedPlatform {
  readonly recipe: Recipe;
  readonly failure: BuildFailure;
}

export async function indexOf(
  recipes: readonly Recipe[],
  results: readonly (TaggedImage | BuildFailure)[],
  variant: Variant,
): Promise<BuiltForPlatforms | FailedBuild> {
  const images: PlatformBuild[] = [];
  const failed: FailedPlatform[] = [];
  for (const [place, recipe] of recipes.entries()) {
    const result = results[place];
    if (result?.kind === "built") images.push({ recipe, built: result });
    else if (result !== undefined) failed.push({ recipe, failure: result });
  }
  const failing = failed.filter(({ failure }) => !isUnsupported(failure));
  if (failing.length > 0) return failedBuild(failing, recipes);
  const [first] = images;
  if (first === undefined) return failedBuild(failed, recipes);

  const omitted = omittedOf(failed);
  const named = images.map(({ built }) => ({
    recipe: built.recipe,
    manifest: built.image.manifest,
  }));
  const manifest = await composeIndex(named, omitted, variant);
  const { pinned, packing, movedTo } = first.built;
  return { kind: "index", recipes, images, manifest, pinned, packing, movedTo, omitted };
}

/** Every name was found on a platform that was built, so what is missing is missing on these. */
export function omittedOf(failed: readonly FailedPlatform[]): readonly OmittedPlatform[] {
  return failed.map(({ recipe, failure }) =>
    omit(recipe.architecture, failureError(failure).message),
  );
}

/** Whether the package set itself says that it has no such package for the platform. */
export function isUnsupported(failure: BuildFailure): boolean {
  return failure.kind === "packages-failed" && areUnsupported(failure.packages);
}

export function failedBuild(
  failed: readonly FailedPlatform[],
  wanted: readonly Recipe[],
): FailedBuild {
  const errors = failed.map(({ recipe: { architecture }, failure }) => ({
    architecture,
    error: failureError(failure),
  }));
  return { kind: "failed", error: platformsError(errors, wanted.length) };
}
