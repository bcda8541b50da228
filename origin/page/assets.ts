// The files of a build of the pages: read when they are first asked for, since an origin answers clients whether
// or not anybody has built them.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import {
  type AssetFiles,
  assetOf,
  MANIFEST_FILE,
  parseAssetFiles,
} from "../../page/html/assets.ts";
import { assetResponse } from "../../page/html/response.ts";
import { RegistryError } from "../../registry/http/error.ts";
import { pagePath } from "../../registry/http/page-route.ts";

export interface Assets {
  /** Throws RegistryError where nothing was built. */
  files(): Promise<AssetFiles>;
  /** Whether a path is that of one of its files; nothing is where nothing was built. */
  has(url: URL): Promise<boolean>;
  /** Undefined for a file of another build. */
  serve(request: Request, file: string): Promise<Response | undefined>;
}

const DIST = join(import.meta.dirname, "../../page/dist");

export function openAssets(dist = DIST): Assets {
  let known: AssetFiles | undefined;
  const contents = new Map<string, Uint8Array<ArrayBuffer>>();
  const files = async () => {
    known ??= parseAssetFiles(await readBuilt(join(dist, MANIFEST_FILE)));
    if (known === undefined) throw notBuilt();
    return known;
  };
  return {
    files,
    async has(url) {
      const built = await files().catch(() => undefined);
      return built !== undefined && Object.values(built).map(pagePath.asset).includes(url.pathname);
    },
    async serve(request, file) {
      const name = assetOf(await files(), file);
      if (name === undefined) return undefined;
      const bytes = contents.get(file) ?? (await readFile(join(dist, "assets", file)));
      contents.set(file, bytes);
      return assetResponse(request, { name, file, bytes });
    },
  };
}

async function readBuilt(path: string): Promise<string> {
  return readFile(path, "utf8").catch((cause) => {
    throw notBuilt(cause);
  });
}

function notBuilt(cause?: unknown): RegistryError {
  const what = "the pages of this origin were not built (npm run page); images are pulled as ever";
  return new RegistryError("UNAVAILABLE", what, { cause });
}
