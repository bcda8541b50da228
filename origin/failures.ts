// Every way in which an image cannot be had, and the one place that puts it into words for a client.

import { MAX_LAYERS } from "../registry/compose.ts";
import { RegistryError } from "../registry/error.ts";
import type { LookupFailure } from "../registry/lookup.ts";
import type { PackageName } from "../registry/recipe.ts";
import { describePackage, type PackageDetail, packageDetail } from "./failed-package.ts";
import { publicText } from "./public-text.ts";

/** A builder of the package, or of something it depends on. */
export type BuilderFailure =
  | {
      readonly kind: "build-failed";
      readonly derivation: string;
      readonly reason: string;
      /** The last lines of the builder's log. */
      readonly log: readonly string[];
    }
  | {
      readonly kind: "build-timed-out";
      readonly derivation: string;
      readonly afterMs: number;
      readonly log: readonly string[];
    };

export type PackageFailure =
  | LookupFailure
  | BuilderFailure
  | { readonly kind: "unpackable"; readonly reason: string };

export interface FailedPackage {
  readonly name: PackageName;
  readonly failure: PackageFailure;
}

export type BuildFailure =
  | { readonly kind: "unknown-tag"; readonly message: string }
  | { readonly kind: "unreachable"; readonly message: string }
  | { readonly kind: "packages-failed"; readonly packages: readonly FailedPackage[] }
  | {
      readonly kind: "timed-out";
      readonly what: "evaluation" | "build";
      readonly afterMs: number;
    }
  | { readonly kind: "cancelled" }
  | { readonly kind: "too-many-layers"; readonly count: number };

/** What `detail` of an error body holds: one entry for each package, or one for the whole image. */
export type FailureDetail =
  | PackageDetail
  | { readonly reason: "timed-out"; readonly afterSeconds: number }
  | { readonly reason: Exclude<BuildFailure["kind"], "packages-failed" | "timed-out"> };

/** All packages together; clients print it whole, and nobody reads more. */
const MAX_MESSAGE_CHARACTERS = 6000;
const MIN_PACKAGE_CHARACTERS = 200;

/**
 * What cannot be made from an immutable pin is absent, and stays absent: 404, which no client
 * retries. What may go better next time is 503.
 */
export function failureError(failure: BuildFailure): RegistryError {
  switch (failure.kind) {
    case "unknown-tag":
      return absent(failure.kind, publicText(failure.message));
    case "unreachable":
      return unavailable(
        { reason: failure.kind },
        `the package source cannot be reached: ${publicText(failure.message)}`,
        30,
      );
    case "packages-failed":
      return packagesError(failure.packages);
    case "timed-out": {
      const afterSeconds = Math.round(failure.afterMs / 1000);
      const message =
        failure.what === "build"
          ? `the build was stopped after ${afterSeconds} s`
          : `looking the packages up was stopped after ${afterSeconds} s`;
      return unavailable({ reason: failure.kind, afterSeconds }, message, 60);
    }
    case "cancelled":
      return unavailable(
        { reason: failure.kind },
        "the build was stopped: the origin is going down",
        10,
      );
    case "too-many-layers":
      return absent(
        failure.kind,
        `these packages make ${failure.count} layers, and clients mount ${MAX_LAYERS}: name fewer packages`,
      );
    default:
      return failure satisfies never;
  }
}

/** One line or more for each package. Only if all of them ran out of time is it worth another try. */
function packagesError(packages: readonly FailedPackage[]): RegistryError {
  const share = Math.max(
    MIN_PACKAGE_CHARACTERS,
    Math.floor(MAX_MESSAGE_CHARACTERS / packages.length),
  );
  const message = packages
    .map(({ name, failure }) => describePackage(name, failure, share))
    .join("\n");
  const detail = packages.map(({ name, failure }) => packageDetail(name, failure, share));
  const isWorthRetrying = packages.every(({ failure }) => failure.kind === "build-timed-out");
  return isWorthRetrying
    ? new RegistryError("UNAVAILABLE", message, { detail, retryAfterSeconds: 60 })
    : new RegistryError("MANIFEST_UNKNOWN", message, { detail });
}

function absent(reason: "unknown-tag" | "too-many-layers", message: string): RegistryError {
  const detail: readonly FailureDetail[] = [{ reason }];
  return new RegistryError("MANIFEST_UNKNOWN", message, { detail });
}

function unavailable(
  detail: FailureDetail,
  message: string,
  retryAfterSeconds: number,
): RegistryError {
  return new RegistryError("UNAVAILABLE", message, { detail: [detail], retryAfterSeconds });
}
