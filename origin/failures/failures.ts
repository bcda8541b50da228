// Every way in which an image cannot be had, and the one place that puts it into words for a
// client.

import type { PackageDetail } from "../../registry/failures/failed-package.ts";
import { type FailedPackage, packagesError } from "../../registry/failures/failed-packages.ts";
import { cut, publicText } from "../../registry/failures/public-text.ts";
import {
  describeBytes,
  describeLayers,
  describeProgress,
  type LayersDone,
  type StillBuilding,
} from "../../registry/http/building.ts";
import { RegistryError } from "../../registry/http/error.ts";
import { MAX_LAYERS } from "../../registry/image/compose.ts";
import type { Hindrance } from "../nix/hindrance.ts";
import type { SetFailed } from "../nix/look-up.ts";
import type { Stage, StillUnderWay } from "../waiting/hold-request.ts";
import type { Busy } from "../waiting/slots.ts";
import { type HindranceDetail, hindranceError } from "./hindrance-error.ts";

export type { BuilderFailure, PackageFailure } from "../../registry/failures/failed-package.ts";

export type BuildFailure =
  | { readonly kind: "unknown-tag"; readonly message: string }
  | { readonly kind: "unreachable"; readonly message: string }
  /** The origin's own Nix, whatever the packages are. */
  | { readonly kind: "nix-too-old"; readonly version: string; readonly needed: string }
  | SetFailed
  | { readonly kind: "packages-failed"; readonly packages: readonly FailedPackage[] }
  | {
      readonly kind: "timed-out";
      readonly what: "evaluation" | "build";
      readonly afterMs: number;
    }
  | { readonly kind: "cancelled" }
  | Hindrance
  | Busy
  | StillUnderWay
  | { readonly kind: "too-large"; readonly sizeBytes: number; readonly limitBytes: number }
  | { readonly kind: "too-many-layers"; readonly count: number }
  | { readonly kind: "several-images"; readonly attributes: readonly string[] };

/** What `detail` of an error body holds: one entry for each package, or one for the whole image. */
export type FailureDetail =
  | PackageDetail
  | { readonly reason: "timed-out"; readonly afterSeconds: number }
  | HindranceDetail
  | StillBuilding
  | { readonly reason: "set-failed"; readonly message: string; readonly place: string | null }
  | { readonly reason: "nix-too-old"; readonly version: string; readonly needed: string }
  | { readonly reason: "too-large"; readonly sizeBytes: number; readonly limitBytes: number }
  | {
      readonly reason: Exclude<
        BuildFailure["kind"],
        | "packages-failed"
        | "timed-out"
        | "still-under-way"
        | "too-large"
        | "nix-too-old"
        | "set-failed"
        | Hindrance["kind"]
      >;
    };

const MAX_SET_CHARACTERS = 1000;

/**
 * What cannot be made from an immutable pin is absent, and stays absent: 404, which no client
 * retries. What may go better next time is 503.
 */
export function failureError(failure: BuildFailure): RegistryError {
  switch (failure.kind) {
    case "unknown-tag":
      return absent({ reason: failure.kind }, publicText(failure.message));
    case "unreachable":
      return unavailable(
        { reason: failure.kind },
        `the package source cannot be reached: ${publicText(failure.message)}`,
        30,
      );
    case "nix-too-old": {
      const { kind: reason, version, needed } = failure;
      const message = `this registry's operator has to upgrade Nix: the package set needs ${needed} or newer, and ${version} runs here`;
      return unavailable({ reason, version, needed }, message, 300);
    }
    case "set-failed": {
      const { kind: reason } = failure;
      const place = failure.place && publicText(failure.place);
      const message = cut(publicText(failure.message), MAX_SET_CHARACTERS);
      return unavailable({ reason, message, place }, describeSetFailure({ message, place }), 60);
    }
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
    case "cache-failed":
    case "source-unreachable":
    case "host-failed":
    case "not-in-caches":
      return hindranceError(failure);
    // containerd and skopeo ask again after a 429, and heed Retry-After; after a 503 they give up.
    case "busy":
      return new RegistryError(
        "TOOMANYREQUESTS",
        `too many images are being made: ${failure.waiting} wait already; try again later`,
        { detail: [{ reason: failure.kind }], retryAfterSeconds: 30 },
      );
    case "still-under-way":
      return stillBuilding(failure);
    case "too-large": {
      const { kind: reason, sizeBytes, limitBytes } = failure;
      return absent(
        { reason, sizeBytes, limitBytes },
        `these packages take ${gigabytes(sizeBytes)} GB with all they need, and this registry packs ${gigabytes(limitBytes)} GB at most: name fewer or smaller packages`,
      );
    }
    case "too-many-layers":
      return absent(
        { reason: failure.kind },
        `these packages make ${failure.count} layers, and clients mount ${MAX_LAYERS}: name fewer packages`,
      );
    case "several-images":
      return absent(
        { reason: failure.kind },
        `${failure.attributes.join(" and ")} are whole images, each with a config of its own: name one of them, and packages besides`,
      );
    default:
      return failure satisfies never;
  }
}

/** For people; `message` as it may be told them. */
export function describeSetFailure({ message, place }: Omit<SetFailed, "kind">): string {
  return `the package set does not load: ${message}${place === null ? "" : ` (${place})`}`;
}

/** Whether trying again may go better, as clients are told. */
export function mayPass(failure: BuildFailure): boolean {
  return failureError(failure).options.retryAfterSeconds !== undefined;
}

/** The next request is held as this one was, so it may come soon. */
function stillBuilding({ stage, status }: StillUnderWay): RegistryError {
  const progress = stage.kind === "realising" ? stage.progress : null;
  const detail: StillBuilding = { reason: "building", progress };
  const code = status === 429 ? "TOOMANYREQUESTS" : "UNAVAILABLE";
  const message = `not ready yet: ${describeStage(stage)}; try again`;
  return new RegistryError(code, message, { detail: [detail], retryAfterSeconds: 1 });
}

export function describeStage(stage: Stage): string {
  switch (stage.kind) {
    case "resolving":
      return "looking for the tag's revision";
    case "looking-up":
      return "looking the packages up";
    case "queued":
      return "waiting for other builds";
    case "fetching":
      return `fetching the package set${stage.doneBytes === 0 ? "" : `: ${describeBytes(stage)}`}`;
    case "realising":
      return describeProgress(stage.progress) || "getting the packages";
    case "packing":
      return counted("packing layers", stage.layers);
    case "storing":
      return counted("storing layers", stage.layers);
    case "backfilling":
      return counted("giving the edge its layers", stage.layers);
    default:
      return stage satisfies never;
  }
}

function counted(what: string, layers: LayersDone | undefined): string {
  return layers === undefined ? what : `${what}: ${describeLayers(layers)}`;
}

function gigabytes(bytes: number): string {
  return (bytes / 1e9).toFixed(bytes < 1e9 ? 3 : 1);
}

function absent(detail: FailureDetail, message: string): RegistryError {
  return new RegistryError("MANIFEST_UNKNOWN", message, { detail: [detail] });
}

function unavailable(
  detail: FailureDetail,
  message: string,
  retryAfterSeconds: number,
): RegistryError {
  return new RegistryError("UNAVAILABLE", message, { detail: [detail], retryAfterSeconds });
}
