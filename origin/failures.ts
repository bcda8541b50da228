// Every way in which an image cannot be had, and the one place that puts it into words for a client.

import { MAX_LAYERS } from "../registry/compose.ts";
import { RegistryError } from "../registry/error.ts";
import type { LookupFailure } from "../registry/lookup.ts";
import type { PackageName } from "../registry/recipe.ts";

export interface FailedPackage {
  readonly name: PackageName;
  readonly failure: LookupFailure;
}

export type BuildFailure =
  | { readonly kind: "unknown-tag"; readonly message: string }
  | { readonly kind: "unreachable"; readonly message: string }
  | { readonly kind: "packages-failed"; readonly packages: readonly FailedPackage[] }
  | { readonly kind: "build-failed"; readonly failures: readonly FailedDerivation[] }
  | { readonly kind: "unpackable"; readonly reason: string }
  | { readonly kind: "timed-out"; readonly afterMs: number }
  | { readonly kind: "cancelled" }
  | { readonly kind: "too-many-layers"; readonly count: number };

export interface FailedDerivation {
  readonly derivation: string;
  /** The end of the build's log. */
  readonly log: string;
}

/**
 * What cannot be made from an immutable pin is absent, and stays absent: 404, which no client
 * retries. What may go better next time is 503.
 */
export function failureError(failure: BuildFailure): RegistryError {
  switch (failure.kind) {
    case "unknown-tag":
      return new RegistryError("MANIFEST_UNKNOWN", failure.message);
    case "unreachable":
      return new RegistryError(
        "UNAVAILABLE",
        `the package source cannot be reached: ${failure.message}`,
        { retryAfterSeconds: 30 },
      );
    case "packages-failed":
      return new RegistryError(
        "MANIFEST_UNKNOWN",
        failure.packages.map(describePackage).join("; "),
        {
          detail: Object.fromEntries(failure.packages.map(({ name, failure: why }) => [name, why])),
        },
      );
    case "build-failed":
      return new RegistryError(
        "MANIFEST_UNKNOWN",
        failure.failures
          .map(({ derivation, log }) => `building ${derivation} failed: ${log.trim()}`)
          .join("\n"),
        { detail: failure.failures },
      );
    case "unpackable":
      return new RegistryError("MANIFEST_UNKNOWN", failure.reason);
    case "timed-out":
      return new RegistryError(
        "UNAVAILABLE",
        `the build was stopped after ${Math.round(failure.afterMs / 1000)} s`,
        { retryAfterSeconds: 60 },
      );
    case "cancelled":
      return new RegistryError("UNAVAILABLE", "the build was stopped: the origin is going down");
    case "too-many-layers":
      return new RegistryError(
        "MANIFEST_UNKNOWN",
        `these packages make ${failure.count} layers, and clients mount ${MAX_LAYERS}: name fewer packages`,
      );
    default:
      return failure satisfies never;
  }
}

function describePackage({ name, failure }: FailedPackage): string {
  switch (failure.kind) {
    case "missing":
      return `no package ${name}${suggest(failure.near)}`;
    case "not-a-package":
      return `${name} is a ${failure.what}, not a package${suggest(failure.near)}`;
    case "unfree":
      return `${name} has an unfree licence (${failure.licenses.join(", ") || "not named"}), which the package source does not allow`;
    case "broken":
      return `${name} is marked broken in the package source`;
    case "insecure":
      return `${name} is marked insecure in the package source (${failure.vulnerabilities.join(", ")})`;
    case "unsupported":
      return `${name} does not support this platform`;
    case "evaluation-failed":
      return `${name} cannot be evaluated: ${failure.message}`;
    default:
      return failure satisfies never;
  }
}

function suggest(near: readonly string[]): string {
  return near.length === 0 ? "" : ` (did you mean ${near.join(", ")}?)`;
}
