// The forms of an image: how its layers are compressed, and the media types of its documents.

import {
  DOCKER_CONFIG,
  DOCKER_LAYER_GZIP,
  DOCKER_MANIFEST,
  DOCKER_MANIFEST_LIST,
  type IndexType,
  type ManifestType,
  OCI_CONFIG,
  OCI_INDEX,
  OCI_LAYER_GZIP,
  OCI_LAYER_ZSTD,
  OCI_MANIFEST,
} from "./media-type.ts";
import type { Form } from "./record.ts";

export const VARIANTS = ["oci-zstd", "oci-gzip", "docker-gzip"] as const;
export type Variant = (typeof VARIANTS)[number];

/** By how many clients read it: every one the first of these. */
export const WIDEST_FIRST: readonly Variant[] = ["oci-gzip", "docker-gzip", "oci-zstd"];

export interface VariantTypes {
  readonly form: Form;
  readonly index: IndexType;
  readonly manifest: ManifestType;
  readonly config: string;
  readonly layer: string;
}

/** Docker schema 2 has no media type for zstd layers, so there is no fourth variant. */
export const VARIANT_TYPES: Readonly<Record<Variant, VariantTypes>> = {
  "oci-zstd": {
    form: "zstd",
    index: OCI_INDEX,
    manifest: OCI_MANIFEST,
    config: OCI_CONFIG,
    layer: OCI_LAYER_ZSTD,
  },
  "oci-gzip": {
    form: "gzip",
    index: OCI_INDEX,
    manifest: OCI_MANIFEST,
    config: OCI_CONFIG,
    layer: OCI_LAYER_GZIP,
  },
  "docker-gzip": {
    form: "gzip",
    index: DOCKER_MANIFEST_LIST,
    manifest: DOCKER_MANIFEST,
    config: DOCKER_CONFIG,
    layer: DOCKER_LAYER_GZIP,
  },
};
