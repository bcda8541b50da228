// What a pin says of one attribute of its package set: what realising it would give, or the reason
// why there is nothing to realise. Written by the origin, read by compose and by error messages.

import * as v from "valibot";
import { parseStorePath, type StorePath } from "./store-path.ts";

export interface FoundPackage {
  readonly kind: "found";
  /** The attribute path in the set's own spelling, such as `haskellPackages.ShellCheck`. */
  readonly attribute: string;
  readonly derivation: string;
  /** The outputs an image of this package holds, in the package's order; at least one. */
  readonly outputs: readonly { readonly name: string; readonly path: StorePath }[];
  readonly name: string;
  readonly version: string | null;
  readonly description: string | null;
  readonly licenses: readonly string[];
  readonly mainProgram: string | null;
}

export type LookupFailure =
  | { readonly kind: "missing"; readonly near: readonly string[] }
  | { readonly kind: "not-a-package"; readonly what: string; readonly near: readonly string[] }
  | { readonly kind: "unfree"; readonly licenses: readonly string[] }
  | { readonly kind: "broken" }
  | {
      readonly kind: "insecure";
      readonly vulnerabilities: readonly string[];
      /** Name and version, as nixpkgs' `permittedInsecurePackages` takes them. */
      readonly name: string | null;
    }
  | { readonly kind: "unsupported"; readonly system: string }
  | { readonly kind: "evaluation-failed"; readonly message: string };

export type Lookup = FoundPackage | LookupFailure;

export const storePathSchema: v.GenericSchema<string, StorePath> = v.pipe(
  v.string(),
  v.rawTransform<string, StorePath>(({ dataset, addIssue, NEVER }) => {
    const path = parseStorePath(dataset.value);
    if (path !== undefined) return path;
    addIssue({ message: "not a store path" });
    return NEVER;
  }),
);

const foundPackageFields = v.object({
  kind: v.literal("found"),
  attribute: v.pipe(v.string(), v.maxLength(512)),
  derivation: v.string(),
  outputs: v.pipe(v.array(v.object({ name: v.string(), path: storePathSchema })), v.minLength(1)),
  name: v.string(),
  version: v.nullable(v.string()),
  description: v.nullable(v.string()),
  licenses: v.array(v.string()),
  mainProgram: v.nullable(v.string()),
});

export const foundPackageSchema: v.GenericSchema<unknown, FoundPackage> = foundPackageFields;

export function parseFoundPackage(json: unknown): FoundPackage | undefined {
  const parsed = v.safeParse(foundPackageSchema, json);
  return parsed.success ? parsed.output : undefined;
}

const lookupSchema: v.GenericSchema<unknown, Lookup> = v.variant("kind", [
  foundPackageFields,
  v.object({ kind: v.literal("missing"), near: v.array(v.string()) }),
  v.object({ kind: v.literal("not-a-package"), what: v.string(), near: v.array(v.string()) }),
  v.object({ kind: v.literal("unfree"), licenses: v.array(v.string()) }),
  v.object({ kind: v.literal("broken") }),
  v.object({
    kind: v.literal("insecure"),
    vulnerabilities: v.array(v.string()),
    name: v.nullable(v.string()),
  }),
  v.object({ kind: v.literal("unsupported"), system: v.string() }),
  v.object({ kind: v.literal("evaluation-failed"), message: v.string() }),
]);

export function parseLookup(json: unknown): Lookup | undefined {
  const parsed = v.safeParse(lookupSchema, json);
  return parsed.success ? parsed.output : undefined;
}
