// Builds an image again with nix/image.nix, at the revision that a registry says it answered from.

import { createReadStream } from "node:fs";
import { readFile, readlink, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import * as v from "valibot";
import { digestSchema, packingIdSchema } from "../../registry/image/record.ts";
import type { Variant } from "../../registry/image/variant.ts";
import { type Digest, digestHex } from "../../registry/naming/digest.ts";
import { configuredPin, type Pin } from "../../registry/naming/pin.ts";
import { type Architecture, systemOf } from "../../registry/naming/recipe.ts";
import { LATEST, parseTag } from "../../registry/naming/reference.ts";
import { evaluationMessage } from "../nix/nix-error.ts";
import type { NixTool } from "../nix/nix-tool.ts";
import type { NixpkgsConfig } from "../nix/nixpkgs-config.ts";
import { featureOptions, type PinnedSource } from "../nix/pinned-source.ts";
import { configured } from "../sources/configured.ts";
import { createResolver, type Environment } from "../sources/resolve.ts";
import { isCommit, type Source } from "../sources/source.ts";
import { contentOf, type ImageContent } from "./published.ts";

export interface RebuildOptions {
  readonly nix: NixTool;
  readonly name: string;
  readonly source: PinnedSource;
  readonly variant: Variant;
  readonly architecture: Architecture;
  /** The text of the popularity data. */
  readonly popularity: string;
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
  if (configuredPin(here.pin, "") === revision) {
    return `the registry's nixpkgs is configured otherwise than NIXPORT_NIXPKGS_CONFIG says here: it answered from ${pin}, which is ${here.pin} here`;
  }
  return `the registry answered from ${pin}, and the source configured here is at ${here.pin}`;
}

export async function rebuild(options: RebuildOptions): Promise<Rebuilt> {
  const { nix, name, source, variant, workPath, deadlineMs, signal } = options;
  const link = join(workPath, "image");
  const popularity = join(workPath, "popularity.json");
  await writeFile(popularity, options.popularity);
  const result = await nix.run(
    "nix-build",
    [
      ...[join(nix.expressions, "image.nix"), "--out-link", link, ...featureOptions(source)],
      ...["--argstr", "name", name, "--argstr", "form", FORMS[variant]],
      ...["--argstr", "system", systemOf(options.architecture)],
      ...["--argstr", "pkgSource", JSON.stringify(source), "--argstr", "node", process.execPath],
      ...["--argstr", "popularity", popularity],
    ],
    { deadlineMs, signal },
  );
  if (result.kind !== "exited") return notRebuilt(`the build ended: ${result.kind}`);
  if (result.code !== 0) return notRebuilt(evaluationMessage(result.stderr));
  const content = await readLayout(join(nix.storeDirectory, basename(await readlink(link))));
  return typeof content === "string" ? notRebuilt(content) : { kind: "rebuilt", content };
}

const imageSchema = v.object({ digest: digestSchema, packing: packingIdSchema });

async function readLayout(path: string): Promise<ImageContent | string> {
  const place = (digest: Digest) => join(path, "blobs/sha256", digestHex(digest));
  const image: unknown = JSON.parse(await readFile(join(path, "image.json"), "utf8"));
  const { digest, packing } = v.parse(imageSchema, image);
  return contentOf(await readFile(place(digest)), packing, {
    read: (blob) => readFile(place(blob)),
    open: (blob) => createReadStream(place(blob)),
  });
}

function notRebuilt(reason: string): Rebuilt {
  return { kind: "not-rebuilt", reason };
}
