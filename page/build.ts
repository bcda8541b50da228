// Makes of page/browser/ the files that pages load, under names that hold their hashes, and a manifest of them.
// What serves pages calls it first, into its state, since sources may lie where nothing can be written; run by
// itself, it is wrangler's build command, into page/dist/.

import { randomUUID } from "node:crypto";
import { mkdir, readdir, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { ASSET_NAMES, type AssetFiles, MANIFEST_FILE } from "./html/assets.ts";

const DIST = join(import.meta.dirname, "dist");
const BROWSER = join(import.meta.dirname, "browser");
/** Browsers of the last three years. */
const TARGET = ["chrome110", "firefox115", "safari16.4"];

let built: Promise<AssetFiles> | undefined;

/** Beside the sources; once in a process, however many ask for it. */
export function buildPage(): Promise<AssetFiles> {
  built ??= buildInto(DIST);
  return built;
}

/** Several processes may build the same at once, while others read what is there. */
export async function buildInto(dist: string): Promise<AssetFiles> {
  const bundled = await bundle();
  const assets = join(dist, "assets");
  await mkdir(assets, { recursive: true });
  for (const { file, contents } of bundled.values()) await replace(join(assets, file), contents);
  const files = Object.fromEntries([...bundled].map(([name, { file }]) => [name, file]));
  await replace(join(dist, MANIFEST_FILE), JSON.stringify(files));
  const current = new Set(Object.values(files));
  const stale = (await readdir(assets)).filter((name) => !current.has(name) && !isPart(name));
  await Promise.all(stale.map((name) => rm(join(assets, name), { force: true })));
  return files as AssetFiles;
}

interface Bundled {
  readonly file: string;
  readonly contents: Uint8Array;
}

async function bundle(): Promise<ReadonlyMap<string, Bundled>> {
  const { outputFiles, metafile } = await build({
    entryPoints: ASSET_NAMES.map((name) => join(BROWSER, name.replace(/\.js$/, ".ts"))),
    absWorkingDir: dirname(import.meta.dirname),
    ...{ outdir: "page/dist/assets", entryNames: "[name]-[hash]", assetNames: "[name]-[hash]" },
    ...{ bundle: true, minify: true, format: "iife", target: TARGET, charset: "utf8" },
    loader: { ".svg": "copy" },
    ...{ write: false, metafile: true, legalComments: "none", logLevel: "silent" },
  });
  const entries = Object.entries(metafile.outputs).map(([path, { inputs, entryPoint }]) => {
    const source = basename(entryPoint ?? Object.keys(inputs)[0] ?? "").replace(/\.ts$/, ".js");
    const contents = outputFiles.find((each) => each.path.endsWith(`/${path}`))?.contents;
    if (contents === undefined) throw new Error(`${path} has no content`);
    return [source, { file: basename(path), contents }] as const;
  });
  const bundled = new Map(entries);
  const absent = ASSET_NAMES.filter((name) => !bundled.has(name));
  if (absent.length > 0) throw new Error(`the build gave no ${absent.join(", ")}`);
  return bundled;
}

async function replace(path: string, contents: string | Uint8Array): Promise<void> {
  const part = join(dirname(path), `.${randomUUID()}-${basename(path)}`);
  await writeFile(part, contents);
  await rename(part, path);
}

/** Another build's, which is about to have its own name. */
function isPart(name: string): boolean {
  return name.startsWith(".");
}

// Also of a Node that does not say so by itself.
if (process.argv[1] === fileURLToPath(import.meta.url)) await buildPage();
