// A pin: one immutable revision of a package source.

import * as v from "valibot";

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

export const pinSchema: v.GenericSchema<string, Pin> = v.pipe(
  v.string(),
  v.rawTransform<string, Pin>(({ dataset, addIssue, NEVER }) => {
    const pin = parsePin(dataset.value);
    if (pin !== undefined) return pin;
    addIssue({ message: "not a pin" });
    return NEVER;
  }),
);
