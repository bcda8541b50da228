// Where a recipe and tag led at a moment, with the manifest itself.

import type { PackingId } from "../../registry/image/record.ts";
import type { Pin } from "../../registry/naming/pin.ts";
import type { Manifest } from "./manifest.ts";

export interface Pointer {
  readonly manifest: Manifest;
  readonly pin: Pin;
  /** Unknown of pointers stored by an earlier version. */
  readonly packing: PackingId | undefined;
  readonly resolvedAtMs: number;
  /** The platforms that an index lacks, as the header says them. */
  readonly omitted: string | undefined;
}
