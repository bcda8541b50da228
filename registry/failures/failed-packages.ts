// The error of packages that cannot be had: all of them in one message and one list, and for which front
// word an image would need those that nobody has named.

import { RegistryError } from "../http/error.ts";
import type { RecipeWord } from "../naming/front-words.ts";
import { type PackageName, type Recipe, wordNeeding } from "../naming/recipe.ts";
import { describePackage, type PackageFailure, packageDetail } from "./failed-package.ts";

export interface FailedPackage {
  readonly name: PackageName;
  readonly failure: PackageFailure;
  /** The front word that needs it, where nobody named it. */
  readonly neededBy?: RecipeWord;
}

/** All packages together; clients print it whole, and nobody reads more. */
const MAX_MESSAGE_CHARACTERS = 6000;
const MIN_PACKAGE_CHARACTERS = 200;

/** Of what a front word needs no other name was meant, since nobody wrote this one. */
export function failedPackage(
  recipe: Recipe,
  name: PackageName,
  failure: PackageFailure,
): FailedPackage {
  const neededBy = wordNeeding(recipe, name);
  if (neededBy === undefined) return { name, failure };
  return { name, neededBy, failure: "near" in failure ? { ...failure, near: [] } : failure };
}

/**
 * One line or more for each package. A builder that ran out of its own time would do so again, and
 * skopeo and podman show no body of a 5xx: so that is told as what fails for good.
 */
export function packagesError(packages: readonly FailedPackage[]): RegistryError {
  const shareOf = (count: number) =>
    Math.max(MIN_PACKAGE_CHARACTERS, Math.floor(MAX_MESSAGE_CHARACTERS / count));
  const causes = causesOf(packages);
  const message = causes
    .map(({ names, failure }) =>
      describePackage(names, failure, names.length + shareOf(causes.length)),
    )
    .join("\n");
  const share = shareOf(packages.length);
  const detail = packages.map(({ name, failure, neededBy }) => ({
    ...packageDetail(name, failure, share),
    ...(neededBy !== undefined && { neededBy }),
  }));
  return new RegistryError("MANIFEST_UNKNOWN", message, { detail });
}

interface Cause {
  readonly names: string;
  readonly failure: PackageFailure;
}

/** What is said at length is said once, with all names that it hit, at the place of the first. */
function causesOf(packages: readonly FailedPackage[]): readonly Cause[] {
  const groups = Map.groupBy(packages, ({ name, failure }) =>
    isLengthy(failure) ? JSON.stringify(failure) : name,
  );
  return [...groups.values()].flatMap((group) => {
    const names = group.map(shownName).join(", ");
    return group.slice(0, 1).map(({ failure }) => ({ names, failure }));
  });
}

function shownName({ name, neededBy }: FailedPackage): string {
  return neededBy === undefined ? name : `${name} (needed by ${neededBy})`;
}

function isLengthy({ kind }: PackageFailure): boolean {
  return kind === "evaluation-failed" || kind === "build-failed" || kind === "build-timed-out";
}
