// What pages load besides themselves: files that the build makes of page/browser/, under names that hold
// their hashes, so that each is kept for ever and never asked for again.

import { pagePath } from "../../registry/http/page-route.ts";

export const ASSETS = {
  "home.js": "text/javascript; charset=utf-8",
  "search.js": "text/javascript; charset=utf-8",
  "image.js": "text/javascript; charset=utf-8",
  "style.css": "text/css; charset=utf-8",
  "icon.svg": "image/svg+xml",
} as const;
export type AssetName = keyof typeof ASSETS;
export const ASSET_NAMES = Object.keys(ASSETS) as readonly AssetName[];

/** The names of the files of one build. */
export type AssetFiles = Readonly<Record<AssetName, string>>;

/** Beside the folder `assets` of a build. */
export const MANIFEST_FILE = "manifest.json";

/** What the build has said of itself. */
export function parseAssetFiles(text: string): AssetFiles | undefined {
  const said: unknown = JSON.parse(text);
  if (typeof said !== "object" || said === null) return undefined;
  const files = said as Readonly<Record<string, unknown>>;
  return ASSET_NAMES.every((name) => typeof files[name] === "string")
    ? (files as AssetFiles)
    : undefined;
}

/** Which asset a file is; undefined for one of another build. */
export function assetOf(files: AssetFiles, file: string): AssetName | undefined {
  return ASSET_NAMES.find((name) => files[name] === file);
}

export function assetPath(files: AssetFiles, name: AssetName): string {
  return pagePath.asset(files[name]);
}
