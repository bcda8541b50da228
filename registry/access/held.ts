// What an image or an index has and holds, as what is remembered of a name (holdings.ts) has it.

import { parseJson } from "../http/json.ts";
import { parseManifest } from "../image/named-blobs.ts";
import { type PackingId, popularityBlob } from "../image/record.ts";
import type { Digest } from "../naming/digest.ts";
import type { Held } from "./holdings.ts";
import type { Meaning } from "./meaning.ts";

/** Its own digest first, and those of all that it names: blobs, or the manifests of an index. */
export function heldBy(
  meaning: Meaning,
  { digest, bytes }: { readonly digest: Digest; readonly bytes: Uint8Array },
  packing?: PackingId,
): Held {
  const parsed = parseManifest(parseJson(bytes));
  const named =
    parsed === undefined ? [] : parsed.kind === "index" ? parsed.manifests : parsed.blobs;
  // What its layers were cut by, which whoever has the image may look at.
  const popularity = packing === undefined ? null : popularityBlob(packing);
  const held = [digest, ...named.map((each) => each.digest), popularity];
  return { meaning, digests: new Set(held.filter((each) => each !== null)) };
}
