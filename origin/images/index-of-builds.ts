// An index of what was built for several platforms. A platform that a package does not support is left out
// and named; any other failure fails it, for an index that silently lost a platform would outlive the reason.

import { RegistryError } from "../../registry/http/error.ts";
import { composeIndex, type OmittedPlatform, omit } from "../../registry/image/image-index.ts";
import type { Variant } from "../../registry/image/variant.ts";
import { platformName, type Recipe } from "../../registry/naming/recipe.ts";
import { type BuildFailure, failureError, type PackageFailure } from "../failures/failures.ts";
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
  return (
    failure.kind === "packages-failed" &&
    failure.packages.every(({ failure: { kind } }) => UNSUPPORTED[kind])
  );
}

const UNSUPPORTED: Readonly<Record<PackageFailure["kind"], boolean>> = {
  missing: true,
  "not-a-package": true,
  unsupported: true,
  broken: true,
  unfree: false,
  insecure: false,
  ambiguous: false,
  "bad-image": false,
  "evaluation-failed": false,
  "build-failed": false,
  "build-timed-out": false,
  unpackable: false,
};

/**
 * One error for what failed of the platforms wanted, each reason once. Where one may pass, a client
 * is told to try again.
 */
export function failedBuild(
  failed: readonly FailedPlatform[],
  wanted: readonly Recipe[],
): FailedBuild {
  const errors = failed.map(({ recipe, failure }) => ({
    platform: platformName(recipe.architecture),
    error: failureError(failure),
  }));
  const worst = errors.find(({ error }) => error.status !== 404)?.error ?? errors[0]?.error;
  if (worst === undefined) throw new Error("no platform was wanted");
  const isSame = new Set(errors.map(({ error }) => error.message)).size === 1;
  if (isSame && errors.length === wanted.length) return { kind: "failed", error: worst };
  const message = errors.map(({ platform, error }) => `${platform}: ${error.message}`).join("\n");
  const detail = errors.flatMap(({ platform, error }) =>
    [error.options.detail].flat().map((each) => ({ platform, ...(each as object) })),
  );
  return {
    kind: "failed",
    error: new RegistryError(worst.code, message, { ...worst.options, detail }),
  };
}
