// What a pin says of one attribute of its package set: what realising it would give, or the reason
// why there is nothing to realise. Written by the origin, read by compose and by error messages.

import * as v from "valibot";
import { parseStorePath, type StorePath } from "../naming/store-path.ts";
import { type ImageConfig, imageConfigSchema } from "./image-config.ts";

export interface FoundPackage {
  readonly kind: "found";
  /** The canonical attribute path as attribute.ts writes it, such as `haskellPackages.ShellCheck`. */
  readonly attribute: string;
  readonly derivation: string;
  /** The outputs an image of this package holds, in the package's order; at least one. */
  readonly outputs: readonly { readonly name: string; readonly path: StorePath }[];
  readonly name: string;
  readonly version: string | null;
  readonly description: string | null;
  readonly licenses: readonly string[];
  readonly mainProgram: string | null;
  /** Of http or https. */
  readonly homepage: string | null;
}

/** A whole image that the package set defines, under `nixportImages`. */
export interface FoundImage {
  readonly kind: "image";
  readonly attribute: string;
  readonly contents: readonly FoundPackage[];
  readonly config: ImageConfig;
}

/** What a name was found to be. */
export type Found = FoundPackage | FoundImage;

/** What the package set has and does not give. */
export type Refusal = {
  /** Name and version of the package that is refused, where it is one that this one needs. */
  readonly dependency?: string;
} & (
  | { readonly kind: "unfree"; readonly licenses: readonly string[] }
  | { readonly kind: "broken" }
  | {
      readonly kind: "insecure";
      readonly vulnerabilities: readonly string[];
      /** Name and version, as nixpkgs' `permittedInsecurePackages` takes them. */
      readonly name: string | null;
    }
  | { readonly kind: "unsupported"; readonly system: string }
);

export type LookupFailure =
  | { readonly kind: "missing"; readonly near: readonly string[] }
  /** Several attributes are spelled like that; `name` is how an image name says one and no other. */
  | {
      readonly kind: "ambiguous";
      readonly meant: readonly { readonly attribute: string; readonly name: string | null }[];
    }
  | { readonly kind: "not-a-package"; readonly what: string; readonly near: readonly string[] }
  | Refusal
  | { readonly kind: "evaluation-failed"; readonly message: string }
  /** An image of `nixportImages` that is none: `attribute` is at fault. */
  | { readonly kind: "bad-image"; readonly attribute: string; readonly reason: string };

export type Lookup = Found | LookupFailure;

export function isFound(lookup: { readonly kind: string }): lookup is Found {
  return lookup.kind === "found" || lookup.kind === "image";
}

/** In the order in which they lie in an image, the first on top. */
export function packagesOf(found: Found): readonly FoundPackage[] {
  return found.kind === "image" ? found.contents : [found];
}

/** Every output that an image of it holds. */
export function outputPathsOf(found: Found): readonly StorePath[] {
  return packagesOf(found).flatMap(({ outputs }) => outputs.map(({ path }) => path));
}

const MAX_ADDRESS_LENGTH = 512;

/** What a page may link to: of a set's own words anything else might be run by a browser. */
export function webAddress(text: string | null): string | null {
  if (text === null || text.length > MAX_ADDRESS_LENGTH) return null;
  const { protocol, href } = URL.parse(text) ?? {};
  return protocol === "https:" || protocol === "http:" ? (href ?? null) : null;
}

/** Each brings a layer with its view, as each package of a recipe does. */
export const MAX_IMAGE_CONTENTS = 64;

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
  // What an earlier version stored has none.
  homepage: v.optional(v.pipe(v.nullable(v.string()), v.transform(webAddress)), null),
});

export const foundPackageSchema: v.GenericSchema<unknown, FoundPackage> = foundPackageFields;

const foundImageFields = v.object({
  kind: v.literal("image"),
  attribute: v.pipe(v.string(), v.maxLength(512)),
  contents: v.pipe(v.array(foundPackageFields), v.maxLength(MAX_IMAGE_CONTENTS)),
  config: imageConfigSchema,
});

export const foundSchema: v.GenericSchema<unknown, Found> = v.variant("kind", [
  foundPackageFields,
  foundImageFields,
]);

export function parseFound(json: unknown): Found | undefined {
  const parsed = v.safeParse(foundSchema, json);
  return parsed.success ? parsed.output : undefined;
}

const dependency = v.exactOptional(v.string());

const lookupSchema: v.GenericSchema<unknown, Lookup> = v.variant("kind", [
  foundPackageFields,
  foundImageFields,
  v.object({ kind: v.literal("missing"), near: v.array(v.string()) }),
  v.object({
    kind: v.literal("ambiguous"),
    meant: v.array(v.object({ attribute: v.string(), name: v.nullable(v.string()) })),
  }),
  v.object({ kind: v.literal("not-a-package"), what: v.string(), near: v.array(v.string()) }),
  v.object({ kind: v.literal("unfree"), licenses: v.array(v.string()), dependency }),
  v.object({ kind: v.literal("broken"), dependency }),
  v.object({
    kind: v.literal("insecure"),
    vulnerabilities: v.array(v.string()),
    name: v.nullable(v.string()),
    dependency,
  }),
  v.object({ kind: v.literal("unsupported"), system: v.string(), dependency }),
  v.object({ kind: v.literal("evaluation-failed"), message: v.string() }),
  v.object({ kind: v.literal("bad-image"), attribute: v.string(), reason: v.string() }),
]);

export function parseLookup(json: unknown): Lookup | undefined {
  const parsed = v.safeParse(lookupSchema, json);
  return parsed.success ? parsed.output : undefined;
}
