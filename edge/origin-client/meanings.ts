// Asks the origin what a name means, and reads what it says. An origin that knows no such question answers
// with something else, which is no word of it.

import {
  MAX_MEANINGS_BYTES,
  MEANING_HEADER,
  type Meaning,
  parseMeanings,
} from "../../registry/access/meaning.ts";
import { readLimited } from "../../registry/http/body.ts";
import { parseJson } from "../../registry/http/json.ts";
import type { Digest } from "../../registry/naming/digest.ts";
import type { Pin } from "../../registry/naming/pin.ts";
import { LATEST, type Tag } from "../../registry/naming/reference.ts";
import { originError, unusable } from "./origin-error.ts";

export interface AskedMeaning {
  /** As the client spelled it. */
  readonly repository: string;
  readonly where:
    | { readonly kind: "tag"; readonly tag: Tag }
    | { readonly kind: "pin"; readonly pin: Pin }
    /** That an image of the name has or holds. */
    | { readonly kind: "digest"; readonly digest: Digest };
}

export function askMeaning({ where }: AskedMeaning): {
  /** Of the path, behind the name. */
  readonly rest: string;
  readonly headers: Readonly<Record<string, string>>;
} {
  switch (where.kind) {
    case "tag":
      return { rest: `manifests/${where.tag}`, headers: { [MEANING_HEADER]: "tag" } };
    case "pin":
      // Of which the tag says nothing: a pin need be none.
      return { rest: `manifests/${LATEST}`, headers: { [MEANING_HEADER]: where.pin } };
    case "digest":
      return { rest: `blobs/${where.digest}`, headers: { [MEANING_HEADER]: "digest" } };
    default:
      return where satisfies never;
  }
}

export async function readMeanings(response: Response): Promise<readonly Meaning[]> {
  if (response.status !== 200) throw await originError(response);
  const bytes = await readLimited(response.body, MAX_MEANINGS_BYTES);
  const meanings = bytes && parseMeanings(parseJson(bytes));
  if (meanings === undefined) throw unusable("no word of what a name means");
  return meanings;
}
