// What a 503 or 429 says of an image that is still being made: the origin writes it, the edge asks again
// because of it, and a person reads how far it is.

import * as v from "valibot";

export interface BuildProgress {
  readonly builds: {
    readonly done: number;
    readonly expected: number;
    /** Names of the derivations whose builders run, the oldest first. */
    readonly running: readonly string[];
  };
  /** Of store paths as they are unpacked; caches send fewer bytes. */
  readonly downloads: { readonly doneBytes: number; readonly expectedBytes: number };
}

/** Of layers that are packed, stored or sent. */
export interface LayersDone {
  readonly done: number;
  readonly expected: number;
  readonly doneBytes: number;
  readonly expectedBytes: number;
}

/** The one entry of the error's `detail`. */
export interface StillBuilding {
  readonly reason: "building";
  /** Null before Nix has anything to do, and when it is done. */
  readonly progress: BuildProgress | null;
}

const stillBuildingSchema = v.tuple([v.object({ reason: v.literal("building") })]);

/** Whether an error's detail says that the image is under way, so that asking again makes sense. */
export function isStillBuilding(detail: unknown): boolean {
  return v.is(stillBuildingSchema, detail);
}

const MAX_NAMES = 3;

/** `building 2 of 5: gcc-13; downloading 40 of 120 MB`, or "" where there is nothing to say. */
export function describeProgress({ builds, downloads }: BuildProgress): string {
  const parts: string[] = [];
  const { done, expected, running } = builds;
  if (running.length > 0) {
    const more = running.length > MAX_NAMES ? ` and ${running.length - MAX_NAMES} more` : "";
    const names = running.slice(0, MAX_NAMES).join(", ");
    // Nix tells of a builder that runs before it counts it among those to come.
    const begun = done + running.length;
    parts.push(`building ${begun} of ${Math.max(begun, expected)}: ${names}${more}`);
  }
  if (downloads.expectedBytes > downloads.doneBytes) {
    parts.push(`downloading ${describeBytes(downloads)}`);
  }
  return parts.join("; ");
}

/** `3 of 12, 40 of 120 MB`. */
export function describeLayers({ done, expected, ...bytes }: LayersDone): string {
  const counted = `${done} of ${expected}`;
  return bytes.expectedBytes === 0 ? counted : `${counted}, ${describeBytes(bytes)}`;
}

/** `40 of 120 MB`, or `40 MB` where nobody says how many there will be. */
export function describeBytes({ doneBytes, expectedBytes }: BuildProgress["downloads"]): string {
  const done = megabytes(doneBytes);
  return expectedBytes === 0 ? `${done} MB` : `${done} of ${megabytes(expectedBytes)} MB`;
}

function megabytes(bytes: number): number {
  return Math.round(bytes / 1e6);
}
