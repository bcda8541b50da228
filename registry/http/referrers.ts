// What refers to a manifest (distribution specification, listing referrers): nothing, for nothing is
// pushed here. Clients that are told so look for no tags instead.

import { OCI_INDEX } from "../image/media-type.ts";
import { jsonResponse } from "./answer.ts";

const NONE = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [] };

/** Of a manifest that is not there too: who has its digest may ask. A filter leaves none as well. */
export function referrersResponse(url: URL, method: string): Response {
  const response = jsonResponse(NONE, method, OCI_INDEX);
  if (url.searchParams.get("artifactType")) {
    response.headers.set("OCI-Filters-Applied", "artifactType");
  }
  return response;
}
