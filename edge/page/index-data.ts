// The package index for pages, out of KV: of the newest revisions that the default tag has led to, the first
// that there is an index of; and its objects as gzip, which whoever reads them unpacks.

import { jsonResponse } from "../../registry/http/answer.ts";
import { indexObjectResponse } from "../../registry/http/index-object.ts";
import type { Digest } from "../../registry/naming/digest.ts";
import { systemOf } from "../../registry/naming/recipe.ts";
import { LATEST } from "../../registry/naming/reference.ts";
import type { IndexRoot } from "../../registry/package-index/root.ts";
import { summariesJson } from "../../registry/package-index/summary.ts";
import type { Edge } from "../request/edge.ts";
import { kvKey } from "../storage/keys.ts";
import { readIndexRoot, readPackedObject } from "../storage/package-index.ts";
import { readTagPins } from "../storage/tag-pins.ts";

/** With each move of the tag there is none for a while. */
const MAX_PINS = 3;

export async function serveIndex(edge: Edge, request: Request): Promise<Response> {
  const [known] = await readTagPins(edge, [kvKey.tagPins(LATEST)]);
  const pins = (known?.pins ?? []).slice(0, MAX_PINS);
  const roots: IndexRoot[] = [];
  for (const architecture of edge.platforms) {
    for (const { pin } of pins) {
      const root = await readIndexRoot(edge, pin, systemOf(architecture));
      if (root === undefined) continue;
      roots.push(root);
      break;
    }
  }
  return jsonResponse(summariesJson(roots), request.method);
}

export async function serveIndexObject(
  edge: Edge,
  request: Request,
  digest: Digest,
): Promise<Response> {
  return indexObjectResponse(request, digest, await readPackedObject(edge, digest));
}
