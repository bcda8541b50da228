// The pulls that an edge has answered by itself, as it tells of them: noted like those that were answered here.

import * as v from "valibot";
import {
  MAX_PULLED_BODY_BYTES,
  type PulledImage,
  pulledBodySchema,
} from "../../registry/between/pulled-images.ts";
import { verifyHead } from "../../registry/between/token.ts";
import { readLimited } from "../../registry/http/body.ts";
import { RegistryError } from "../../registry/http/error.ts";
import { parseJson } from "../../registry/http/json.ts";
import { requireMethod } from "../../registry/http/route.ts";
import { digestOf } from "../../registry/naming/digest.ts";
import type { PullNotes } from "../pulled/pull-notes.ts";
import type { Asking } from "./asker.ts";

export interface TakingToldPulls extends Asking {
  readonly pulls: PullNotes;
}

/** From whoever signs alone, also where anyone may pull: else anybody could keep the storage full. */
export async function takeToldPulls(
  options: TakingToldPulls,
  request: Request,
  path: string,
): Promise<Response> {
  const { method } = request;
  requireMethod(method, ["POST"], "pulls are posted");
  const bytes = await signedBody(options, request, { method, path });
  const parsed = v.safeParse(pulledBodySchema, parseJson(bytes));
  if (!parsed.success) throw new RegistryError("MANIFEST_INVALID", "these are no pulls");
  for (const image of parsed.output.images) note(options.pulls, image);
  return new Response(null, { status: 204, headers: { "Cache-Control": "no-store" } });
}

function note(pulls: PullNotes, image: PulledImage): void {
  if (image.of !== null) pulls.pulled(image);
  else for (const digest of image.manifests) pulls.pulledAgain(digest);
}

/** Nothing of a body is read before the token counts, and nothing believed that it does not bind. */
async function signedBody(
  { secretKeys, now }: Asking,
  { headers, body }: Request,
  head: { readonly method: string; readonly path: string },
): Promise<Uint8Array> {
  const refused = new RegistryError(
    "UNAUTHORIZED",
    "the token is not this origin's edge's for this",
  );
  const authorization = headers.get("Authorization");
  const signed = await verifyHead(secretKeys, "edge", head, authorization, now());
  if (signed === undefined) throw refused;
  const bytes = await readLimited(body, MAX_PULLED_BODY_BYTES);
  if (bytes === undefined) {
    throw new RegistryError("SIZE_INVALID", `more than ${MAX_PULLED_BODY_BYTES} bytes of pulls`);
  }
  if ((await digestOf(bytes)) !== signed.bodyDigest) throw refused;
  return bytes;
}
