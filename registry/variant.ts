// Which form of an image a client gets: the one table of what clients can read.

import { accepts, parseAccept } from "./accept.ts";
import {
  DOCKER_CONFIG,
  DOCKER_LAYER_GZIP,
  DOCKER_MANIFEST,
  type ManifestType,
  OCI_CONFIG,
  OCI_LAYER_GZIP,
  OCI_LAYER_ZSTD,
  OCI_MANIFEST,
} from "./media-type.ts";
import type { Form } from "./record.ts";

export const VARIANTS = ["oci-zstd", "oci-gzip", "docker-gzip"] as const;
export type Variant = (typeof VARIANTS)[number];

export interface VariantTypes {
  readonly form: Form;
  readonly manifest: ManifestType;
  readonly config: string;
  readonly layer: string;
}

/** Docker schema 2 has no media type for zstd layers, so there is no fourth variant. */
export const VARIANT_TYPES: Readonly<Record<Variant, VariantTypes>> = {
  "oci-zstd": {
    form: "zstd",
    manifest: OCI_MANIFEST,
    config: OCI_CONFIG,
    layer: OCI_LAYER_ZSTD,
  },
  "oci-gzip": {
    form: "gzip",
    manifest: OCI_MANIFEST,
    config: OCI_CONFIG,
    layer: OCI_LAYER_GZIP,
  },
  "docker-gzip": {
    form: "gzip",
    manifest: DOCKER_MANIFEST,
    config: DOCKER_CONFIG,
    layer: DOCKER_LAYER_GZIP,
  },
};

/** Clients that take OCI manifests but fail on zstd layers. */
const WITHOUT_ZSTD: readonly RegExp[] = [
  // Docker engines before 23 ("invalid tar header" with 20.10.24).
  /\bdocker\/(?:1|[0-9]|1[0-9]|2[0-2])\.[0-9]/i,
];

/**
 * The variant for a request's headers. The edge names the variant it wants of the origin in
 * `Nixport-Variant`, since it passes no header of its client on.
 */
export function chooseVariant(headers: Headers): Variant {
  const named = VARIANTS.find((variant) => variant === headers.get(VARIANT_HEADER));
  if (named !== undefined) return named;
  if (!accepts(parseAccept(headers.get("Accept")), OCI_MANIFEST)) return "docker-gzip";
  const agent = headers.get("User-Agent") ?? "";
  return WITHOUT_ZSTD.some((client) => client.test(agent)) ? "oci-gzip" : "oci-zstd";
}

export const VARIANT_HEADER = "Nixport-Variant";
