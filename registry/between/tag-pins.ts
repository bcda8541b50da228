// What the edge is told of a tag's pins, so that it can compose images by itself.

import * as v from "valibot";
import { type Form, type PackingId, packingIdSchema } from "../image/record.ts";
import { type Pin, pinSchema } from "../naming/pin.ts";

/** Milliseconds since the epoch, beside the pin a tag resolved to then. */
export interface ResolvedPin {
  readonly pin: Pin;
  readonly resolvedAtMs: number;
}

/** Since when a tag leads to a pin: the earliest time at which it was seen to. */
export interface TagMove {
  readonly pin: Pin;
  readonly sinceMs: number;
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
  /** Where the tag led before, the newest first, for people to read. Nothing is composed at what is only here. */
  readonly moves?: readonly TagMove[];
}

export const MAX_PINS_PER_TAG = 4;
/** Of all tags together: those at which an image asked for by its digest is looked for. */
export const MAX_LATEST_PINS = 16;

/** Half a month of a channel that moves daily, in a kB and a half beside what composing reads. */
export const MAX_MOVES = 16;

/**
 * The moves with what a tag was seen to lead to. What is told late goes to its place, unless the pin is known
 * there already; and a tag that leads to a pin again has moved again.
 */
export function withMove(
  moves: readonly TagMove[],
  { pin, resolvedAtMs }: ResolvedPin,
): readonly TagMove[] {
  const place = moves.findIndex(({ sinceMs }) => sinceMs <= resolvedAtMs);
  const [later, earlier] = place === -1 ? [moves, []] : [moves.slice(0, place), moves.slice(place)];
  if (earlier[0]?.pin === pin) return moves;
  const next = later.at(-1);
  // It was seen a moment before it was first heard of.
  const kept = next?.pin === pin ? later.slice(0, -1) : later;
  return [...kept, { pin, sinceMs: resolvedAtMs }, ...earlier].slice(0, MAX_MOVES);
}

export const tagMovesSchema: v.GenericSchema<unknown, readonly TagMove[]> = v.pipe(
  v.array(v.object({ pin: pinSchema, sinceMs: v.number() })),
  v.maxLength(MAX_MOVES),
);

export const tagPinsSchema: v.GenericSchema<unknown, TagPins> = v.object({
  pins: v.pipe(
    v.array(v.object({ pin: pinSchema, resolvedAtMs: v.number() })),
    v.minLength(1),
    v.maxLength(MAX_LATEST_PINS),
  ),
  packings: v.object({ zstd: packingIdSchema, gzip: packingIdSchema }),
  composeVersion: v.number(),
  moves: v.exactOptional(tagMovesSchema),
});
