// What a manifest or an index that this registry writes names: read where something must be there before
// it is taken, and where what is stored is checked.

import * as v from "valibot";
import type { Digest } from "../naming/digest.ts";
import { ARCHITECTURES } from "../naming/recipe.ts";
import {
  DOCKER_MANIFEST,
  DOCKER_MANIFEST_LIST,
  type ManifestType,
  OCI_INDEX,
  OCI_MANIFEST,
} from "./media-type.ts";
import { digestSchema } from "./record.ts";

export interface NamedBlob {
  readonly digest: Digest;
  readonly sizeBytes: number;
}

export type ParsedManifest = { readonly mediaType: ManifestType } & (
  | {
      readonly kind: "image";
      /** The config, and the layers. */
      readonly blobs: readonly NamedBlob[];
    }
  | { readonly kind: "index"; readonly manifests: readonly NamedBlob[] }
);

const descriptorSchema = v.object({
  digest: digestSchema,
  size: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
});
const manifestSchema = v.object({
  schemaVersion: v.literal(2),
  mediaType: v.picklist([OCI_MANIFEST, DOCKER_MANIFEST]),
  config: descriptorSchema,
  layers: v.array(descriptorSchema),
});
const indexSchema = v.object({
  schemaVersion: v.literal(2),
  mediaType: v.picklist([OCI_INDEX, DOCKER_MANIFEST_LIST]),
  manifests: v.pipe(v.array(descriptorSchema), v.minLength(1), v.maxLength(ARCHITECTURES.length)),
});
const eitherSchema = v.union([manifestSchema, indexSchema]);

/** Undefined for what this registry never wrote. */
export function parseManifest(json: unknown): ParsedManifest | undefined {
  const parsed = v.safeParse(eitherSchema, json);
  if (!parsed.success) return undefined;
  const { output } = parsed;
  const { mediaType } = output;
  return "manifests" in output
    ? { mediaType, kind: "index", manifests: output.manifests.map(named) }
    : { mediaType, kind: "image", blobs: [output.config, ...output.layers].map(named) };
}

function named({ digest, size }: v.InferOutput<typeof descriptorSchema>): NamedBlob {
  return { digest, sizeBytes: size };
}
