// What a client is told where an image cannot be had for any of the platforms that it is wanted for.

import { RegistryError } from "../http/error.ts";
import { type Architecture, platformName } from "../naming/recipe.ts";
import type { PackageFailure } from "./failed-package.ts";
import type { FailedPackage } from "./failed-packages.ts";

/** Whether the package set itself says that it has no such packages for the platform. */
export function areUnsupported(packages: readonly FailedPackage[]): boolean {
  return packages.every(({ failure: { kind } }) => UNSUPPORTED[kind]);
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

export interface FailedArchitecture {
  readonly architecture: Architecture;
  readonly error: RegistryError;
}

/**
 * One error for what failed, of so many platforms that were wanted, each reason once. Where one may pass, a
 * client is told to try again.
 */
export function platformsError(
  failed: readonly FailedArchitecture[],
  wanted: number,
): RegistryError {
  const worst = (failed.find(({ error }) => error.status !== 404) ?? failed[0])?.error;
  if (worst === undefined) throw new Error("no platform was wanted");
  const isSame = new Set(failed.map(({ error }) => error.message)).size === 1;
  if (isSame && failed.length === wanted) return worst;
  const told = failed.map(({ architecture, error }) => ({
    platform: platformName(architecture),
    error,
  }));
  const message = told.map(({ platform, error }) => `${platform}: ${error.message}`).join("\n");
  const detail = told.flatMap(({ platform, error }) =>
    [error.options.detail].flat().map((each) => ({ platform, ...(each as object) })),
  );
  return new RegistryError(worst.code, message, { ...worst.options, detail });
}
