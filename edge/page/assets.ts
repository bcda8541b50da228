// The files of the build that was deployed with this Worker, out of the binding for assets. Nothing is asked of
// them but their bytes: what they are answered with is the same at the origin.

import {
  type AssetFiles,
  assetOf,
  MANIFEST_FILE,
  parseAssetFiles,
} from "../../page/html/assets.ts";
import { assetResponse } from "../../page/html/response.ts";
import { RegistryError } from "../../registry/http/error.ts";
import { pagePath } from "../../registry/http/page-route.ts";
import type { Edge } from "../request/edge.ts";

/** A path is all that the binding looks at. */
const BASE = "https://assets.invalid";

/** Which files there are; read once in an isolate's life, whose deployment has one build. */
export async function assetFiles({ assets, assetFiles: known }: Edge): Promise<AssetFiles> {
  if (known.files !== undefined) return known.files;
  const files = parseAssetFiles(new TextDecoder().decode(await read(assets, `/${MANIFEST_FILE}`)));
  if (files === undefined) throw new Error("the assets' manifest names not all that pages need");
  known.files = files;
  return files;
}

export async function serveAsset(edge: Edge, request: Request, file: string): Promise<Response> {
  const name = assetOf(await assetFiles(edge), file);
  if (name === undefined) throw new RegistryError("NAME_UNKNOWN", "no such file");
  const bytes = await read(edge.assets, pagePath.asset(file));
  return assetResponse(request, { name, file, bytes });
}

async function read(assets: Edge["assets"], path: string): Promise<Uint8Array<ArrayBuffer>> {
  const response = await assets?.fetch(BASE + path);
  if (!response?.ok) {
    await response?.body?.cancel();
    const what = "this deployment has no files for its pages; images are pulled as ever";
    throw new RegistryError("UNAVAILABLE", what);
  }
  return new Uint8Array(await response.arrayBuffer());
}
