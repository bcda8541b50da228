// What the edge is told of a tag's pins, so that it can compose images by itself.

import * as v from "valibot";
import { type Form, type PackingId, packingIdSchema } from "../image/record.ts";
import { type Pin, pinSchema } from "../naming/pin.ts";

/** Milliseconds since the epoch, beside the pin a tag resolved to then. */
export interface ResolvedPin {
  readonly pin: Pin;
  readonly resolvedAtMs: number;
}

/**
 * What the edge needs to know of a tag to compose images by itself. Earlier pins stay for a while,
 * newest first: when a channel has just moved, most combinations are only known at the pin before.
 */
export interface TagPins {
  readonly pins: readonly ResolvedPin[];
  /** How layers are made now, in each form. */
  readonly packings: Readonly<Record<Form, PackingId>>;
  /** A composer of another version gives other bytes; then the edge must not compose. */
  readonly composeVersion: number;
}

export const MAX_PINS_PER_TAG = 4;
/** Of all tags together: those at which an image asked for by its digest is looked for. */
export const MAX_LATEST_PINS = 16;

export const tagPinsSchema: v.GenericSchema<unknown, TagPins> = v.object({
  pins: v.pipe(
    v.array(v.object({ pin: pinSchema, resolvedAtMs: v.number() })),
    v.minLength(1),
    v.maxLength(MAX_LATEST_PINS),
  ),
  packings: v.object({ zstd: packingIdSchema, gzip: packingIdSchema }),
  composeVersion: v.number(),
});
