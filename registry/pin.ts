// A pin: one immutable revision of a package source, and what the edge knows of a tag's pins.

import * as v from "valibot";
import { type Form, type PackingId, packingIdSchema } from "./record.ts";

declare const pinBrand: unique symbol;
/**
 * A 40-hex commit, or `path-` and the 64 hex digits of the NAR hash of a local path; and behind it,
 * where the package set is a flake or is configured, `+` and 16 hex digits that stand for how.
 */
export type Pin = string & { readonly [pinBrand]: "Pin" };

const PIN = /^(?:[0-9a-f]{40}|path-[0-9a-f]{64})(?:\+[0-9a-f]{16})?$/;

export function parsePin(text: string): Pin | undefined {
  return PIN.test(text) ? (text as Pin) : undefined;
}

/** The same revision under another configuration of the package set; "" is none. */
export function configuredPin(pin: Pin, configId: string): Pin {
  const [revision = ""] = pin.split("+");
  return (configId === "" ? revision : `${revision}+${configId}`) as Pin;
}

/** What `configuredPin` takes. */
export function configIdOf(pin: Pin): string {
  return pin.split("+")[1] ?? "";
}

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

export const pinSchema: v.GenericSchema<string, Pin> = v.pipe(
  v.string(),
  v.rawTransform<string, Pin>(({ dataset, addIssue, NEVER }) => {
    const pin = parsePin(dataset.value);
    if (pin !== undefined) return pin;
    addIssue({ message: "not a pin" });
    return NEVER;
  }),
);

export const tagPinsSchema: v.GenericSchema<unknown, TagPins> = v.object({
  pins: v.pipe(
    v.array(v.object({ pin: pinSchema, resolvedAtMs: v.number() })),
    v.minLength(1),
    v.maxLength(MAX_PINS_PER_TAG),
  ),
  packings: v.object({ zstd: packingIdSchema, gzip: packingIdSchema }),
  composeVersion: v.number(),
});
