// A manifest is bytes that were hashed, wherever they came from.

import { isManifestType, type ManifestType } from "../../registry/image/media-type.ts";
import { type Digest, digestOf } from "../../registry/naming/digest.ts";

export interface Manifest {
  readonly digest: Digest;
  readonly mediaType: ManifestType;
  /** Exactly the bytes whose digest it is: whoever makes a Manifest has hashed them. */
  readonly bytes: Uint8Array;
}

/** Undefined for bytes that are not what the digest names, or of a type never stored. */
export async function verifyManifest(
  bytes: Uint8Array,
  digest: Digest,
  mediaType: string | undefined,
): Promise<Manifest | undefined> {
  if (mediaType === undefined || !isManifestType(mediaType)) return undefined;
  return (await digestOf(bytes)) === digest ? { digest, mediaType, bytes } : undefined;
}
