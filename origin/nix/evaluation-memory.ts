// How much memory an evaluation may have where the operator does not say: what nixpkgs needs, on a
// machine that has other things to do.

import { machineMemoryBytes } from "./machine-memory.ts";

const GIB = 1024 ** 3;
/** A name of nixpkgs takes some 300 to 500 MB. */
const LEAST_BYTES = GIB;
/** What hundreds of its names at once stay below. */
const MOST_BYTES = 4 * GIB;

/** Two at once, which is as many as there are by default, leave the other half of the machine. */
export function fittingMemoryBytes(machineBytes: number = machineMemoryBytes()): number {
  return Math.min(Math.max(Math.floor(machineBytes / 4), LEAST_BYTES), MOST_BYTES);
}
