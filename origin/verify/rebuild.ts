// Builds an image again with nix/image.nix, at the revision that a registry says it answered from.

import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as v from "valibot";
import { type Digest, digestHex } from "../../registry/digest.ts";
import { configuredPin, type Pin } from "../../registry/pin.ts";
import { type Architecture, systemOf } from "../../registry/recipe.ts";
import { digestSchema } from "../../registry/record.ts";
import { LATEST, parseTag } from "../../registry/reference.ts";
import type { Variant } from "../../registry/variant.ts";
import { evaluationMessage } from "../nix/nix-error.ts";
import type { NixTool } from "../nix/nix-tool.ts";
import type { NixpkgsConfig } from "../nix/nixpkgs-config.ts";
import { featureOptions, type PinnedSource } from "../nix/pinned-source.ts";
import { configured } from "../sources/configured.ts";
import { createResolver, type Environment } from "../sources/resolve.ts";
import { isCommit, type Source } from "../sources/source.ts";
import { contentOf, type ImageContent, parseManifest } from "./published.ts";

export interface RebuildOptions {
  readonly nix: NixTool;
  readonly name: string;
  readonly source: PinnedSource;
  readonly variant: Variant;
  readonly architecture: Architecture;
  /** The text of the popularity data, where the source's own is not used. */
  readonly popularity: string | null;
  /** A folder of the caller's, whose link keeps the image from being collected. */
  readonly workPath: string;
  readonly deadlineMs: number;
  readonly signal: AbortSignal;
}

export type Rebuilt =
  | { readonly kind: "rebuilt"; readonly content: ImageContent }
  | { readonly kind: "not-rebuilt"; readonly reason: string };

/** What nix/image.nix calls them. */
export const FORMS: Readonly<Record<Variant, string>> = {
  "oci-zstd": "zstd",
  "oci-gzip": "gzip",
  "docker-gzip": "docker",
};

/** The source at a pin, or why it cannot be had any more. */
export async function sourceAt(
  nix: NixTool,
  source: Source,
  config: NixpkgsConfig,
  pin: Pin,
  env: Environment,
  signal: AbortSignal,
): Promise<PinnedSource | string> {
  // A commit is a tag of every source that has commits; the others have latest only.
  const revision = configuredPin(pin, "");
  const tag = (isCommit(revision) && parseTag(revision)) || LATEST;
  const resolver = createResolver({ source, nix, env, now: Date.now, signal });
  const resolution = await resolver.resolve(tag);
  if (resolution.kind !== "pinned") return resolution.message;
  const here = configured(resolution, config);
  if (here.pin === pin) return here.source;
  return `the registry answered from ${pin}, and the source configured here is at ${here.pin}`;
}

export async function rebuild(options: RebuildOptions): Promise<Rebuilt> {
  const { nix, name, source, variant, workPath, deadlineMs, signal } = options;
  const link = join(workPath, "image");
  const popularity = join(workPath, "popularity.json");
  if (options.popularity !== null) await writeFile(popularity, options.popularity);
  const result = await nix.run(
    "nix-build",
    [
      ...[join(nix.expressions, "image.nix"), "--out-link", link, ...featureOptions(source)],
      ...["--argstr", "name", name, "--argstr", "form", FORMS[variant]],
      ...["--argstr", "system", systemOf(options.architecture)],
      ...["--argstr", "pkgSource", JSON.stringify(source), "--argstr", "node", process.execPath],
      ...(options.popularity === null ? [] : ["--argstr", "popularity", popularity]),
    ],
    { deadlineMs, signal },
  );
  if (result.kind !== "exited") return notRebuilt(`the build ended: ${result.kind}`);
  if (result.code !== 0) return notRebuilt(evaluationMessage(result.stderr));
  const content = await readLayout(link);
  return typeof content === "string" ? notRebuilt(content) : { kind: "rebuilt", content };
}

const indexSchema = v.object({ manifests: v.tuple([v.object({ digest: digestSchema })]) });

async function readLayout(path: string): Promise<ImageContent | string> {
  const blob = (digest: Digest) => readFile(join(path, "blobs/sha256", digestHex(digest)));
  const index: unknown = JSON.parse(await readFile(join(path, "index.json"), "utf8"));
  const manifestBytes = await blob(v.parse(indexSchema, index).manifests[0].digest);
  const manifest = parseManifest(manifestBytes);
  if (manifest === undefined) return "the build made no image manifest";
  return contentOf(manifest, manifestBytes, await blob(manifest.config.digest));
}

function notRebuilt(reason: string): Rebuilt {
  return { kind: "not-rebuilt", reason };
}
