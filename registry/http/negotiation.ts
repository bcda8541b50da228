// Which form of an image a client gets: by its Accept, and by what the table says of it.

import { OCI_INDEX, OCI_MANIFEST } from "../image/media-type.ts";
import { VARIANT_TYPES, VARIANTS, type Variant } from "../image/variant.ts";
import { accepts, parseAccept } from "./accept.ts";
import { readsZstd } from "./clients.ts";

/** For whom zstd is: clients that are known to read it, or nobody. */
export const ZSTD_USES = ["known", "never"] as const;
export type ZstdUse = (typeof ZSTD_USES)[number];

/** Reads `NIXPORT_ZSTD`; undefined for a word that is none of these. */
export function parseZstdUse(text: string | undefined): ZstdUse | undefined {
  return text ? ZSTD_USES.find((use) => use === text) : "known";
}

/**
 * The variant for a request's headers. The edge names the variant it wants of the origin in
 * `Nixport-Variant`, since it passes no header of its client on.
 */
export function chooseVariant(headers: Headers, zstd: ZstdUse): Variant {
  const told = VARIANTS.find((variant) => variant === headers.get(VARIANT_HEADER));
  if (told !== undefined) return told;
  // Who takes OCI's index takes what it names, said or not.
  const named = parseAccept(headers.get("Accept"));
  if (!accepts(named, OCI_MANIFEST) && !accepts(named, OCI_INDEX)) return "docker-gzip";
  return zstd === "known" && readsZstd(headers) ? "oci-zstd" : "oci-gzip";
}

/** All that `chooseVariant` looks at, as one text: requests that say the same are given the same. */
export function variantWords(headers: Headers): string {
  return ["User-Agent", "Accept", VARIANT_HEADER].map((name) => headers.get(name)).join("\n");
}

/** Whether a client of a variant takes several platforms' manifests in one index. */
export function takesIndex(headers: Headers, variant: Variant): boolean {
  return accepts(parseAccept(headers.get("Accept")), VARIANT_TYPES[variant].index);
}

export const VARIANT_HEADER = "Nixport-Variant";
