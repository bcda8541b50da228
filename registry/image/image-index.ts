// The bytes of an image index: the manifests of one image for several platforms, and which platforms
// it lacks, and why. Pure, like compose: edge and origin give one index one digest.

import * as v from "valibot";
import { type Digest, digestOf } from "../naming/digest.ts";
import type { Architecture, Recipe } from "../naming/recipe.ts";
import { canonicalNames, platformName } from "../naming/recipe.ts";
import { type IndexType, OCI_INDEX } from "./media-type.ts";
import { digestSchema } from "./record.ts";
import { VARIANT_TYPES, type Variant } from "./variant.ts";

/** One image of an index. */
export interface PlatformImage {
  readonly recipe: Recipe;
  readonly manifest: { readonly digest: Digest; readonly bytes: Uint8Array };
}

/** A platform that a package of the image does not support. */
export interface OmittedPlatform {
  readonly architecture: Architecture;
  /** Printable ASCII without quotes, made by `omit`. */
  readonly reason: string;
}

export interface ComposedIndex {
  readonly bytes: Uint8Array;
  readonly digest: Digest;
  readonly mediaType: IndexType;
}

/** Says which platforms an index lacks; a Docker manifest list has no annotations to say it in. */
export const OMITTED_HEADER = "Nixport-Omitted";

/**
 * All reasons must fit into a header and, with a few facts, into the 1024 bytes of a KV value's
 * metadata.
 */
const MAX_REASON_LENGTH = 300;

/** The header's text, as it travels and is kept beside a pointer. */
export const omittedSchema: v.GenericSchema<string> = v.pipe(
  v.string(),
  v.maxLength(2 * (MAX_REASON_LENGTH + 20)),
  v.regex(/^[\x20-\x7e]+$/),
);

export function omit(architecture: Architecture, reason: string): OmittedPlatform {
  const line = reason.trim().replace(/\s*\n\s*/g, "; ");
  const printable = line.replace(/["\\]/g, "'").replace(/[^\x20-\x7e]+/g, " ");
  return { architecture, reason: printable.slice(0, MAX_REASON_LENGTH) };
}

/** Undefined where no platform is left out. */
export function omittedHeader(omitted: readonly OmittedPlatform[]): string | undefined {
  if (omitted.length === 0) return undefined;
  return omitted
    .map(({ architecture, reason }) => `${platformName(architecture)}="${reason}"`)
    .join(", ");
}

/**
 * Platforms are listed in the order given. arm64 goes without a variant, as BuildKit writes it: v8 is
 * the only one, and crane validate wants the same in the image's config.
 */
export async function composeIndex(
  images: readonly PlatformImage[],
  omitted: readonly OmittedPlatform[],
  variant: Variant,
): Promise<ComposedIndex> {
  const types = VARIANT_TYPES[variant];
  const [first] = images;
  const names = first === undefined ? "" : canonicalNames(first.recipe);
  const index = {
    schemaVersion: 2,
    mediaType: types.index,
    manifests: images.map(({ recipe, manifest }) => ({
      mediaType: types.manifest,
      digest: manifest.digest,
      size: manifest.bytes.length,
      platform: { architecture: recipe.architecture, os: "linux" },
    })),
    ...(types.index === OCI_INDEX && { annotations: annotations(names, omitted) }),
  };
  const bytes = new TextEncoder().encode(JSON.stringify(index));
  return { bytes, digest: await digestOf(bytes), mediaType: types.index };
}

const namedSchema = v.object({ manifests: v.array(v.object({ digest: digestSchema })) });

/** The manifests that an index names, in its order. Throws for bytes that are no index. */
export function manifestsOf(index: Uint8Array): readonly Digest[] {
  const { manifests } = v.parse(namedSchema, JSON.parse(new TextDecoder().decode(index)));
  return manifests.map(({ digest }) => digest);
}

function annotations(names: string, omitted: readonly OmittedPlatform[]) {
  return {
    "org.opencontainers.image.title": names,
    "nixport.recipe": names,
    ...Object.fromEntries(
      omitted.map(({ architecture, reason }) => [
        `nixport.omitted.${platformName(architecture).replace("/", ".")}`,
        reason,
      ]),
    ),
  };
}
