// Values that the tests of the vocabulary are made of. Everything is made from its name, so that a
// golden digest depends on nothing but these lines and the code.

import { createHash } from "node:crypto";
import type { FoundPackage } from "../../registry/image/lookup.ts";
import {
  type BundleRecord,
  type LayerRecord,
  type PackageRecord,
  type PackingId,
  parsePackingId,
} from "../../registry/image/record.ts";
import { type Digest, parseDigest } from "../../registry/naming/digest.ts";
import { type Pin, parsePin } from "../../registry/naming/pin.ts";
import { parseRepository, type Recipe } from "../../registry/naming/recipe.ts";
import { parseTag, type Tag } from "../../registry/naming/reference.ts";
import { parseStorePath, type StorePath } from "../../registry/naming/store-path.ts";

export function defined<Value>(value: Value | undefined, what: string): Value {
  if (value === undefined) throw new Error(`${what} is none`);
  return value;
}

/** The User-Agent of a client that reads zstd, and waits as long as it takes. */
export const READS_ZSTD = "containers/5.34.2 (github.com/containers/image)";

export function hexOf(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

export function digestOfText(text: string): Digest {
  return defined(parseDigest(`sha256:${hexOf(text)}`), text);
}

/** A path whose hash part is made of its name. */
export function storePathOf(name: string): StorePath {
  return defined(
    parseStorePath(`/nix/store/${hexOf(name).slice(0, 32).replaceAll("e", "z")}-${name}`),
    name,
  );
}

export function pinOf(text: string): Pin {
  return defined(parsePin(text), text);
}

export function tagOf(text: string): Tag {
  return defined(parseTag(text), text);
}

export function packingIdOf(text: string): PackingId {
  return defined(parsePackingId(text), text);
}

/** For amd64 unless the name says otherwise. */
export function recipeOf(repository: string): Recipe {
  const parsed = parseRepository(repository);
  if (parsed.kind === "invalid") throw new Error(`${repository}: ${parsed.reason}`);
  const { architecture, ...recipe } = parsed.recipe;
  return { architecture: architecture ?? "amd64", ...recipe };
}

/** What to store under the digests of the layers that were made. */
export const layerContents = new Map<Digest, string>();

/** A layer of a form: the compressed digest differs between forms, the diff id does not. */
export function layerOf(content: string, form: "zstd" | "gzip" = "gzip"): LayerRecord {
  const bytes = `${form} of ${content}`;
  layerContents.set(digestOfText(bytes), bytes);
  return {
    digest: digestOfText(bytes),
    diffId: digestOfText(`tar of ${content}`),
    sizeBytes: content.length * (form === "zstd" ? 90 : 100),
  };
}

export function bundleOf(
  names: readonly string[],
  popularity: number,
  form: "zstd" | "gzip" = "gzip",
  holdsView = false,
): BundleRecord {
  return {
    ...layerOf(`${holdsView ? "viewed bundle" : "bundle"} ${names.join(" ")}`, form),
    storePaths: names.map(storePathOf),
    popularity,
    holdsView,
  };
}

/** A bundle that holds nothing but a view. */
export function viewOf(name: string, form: "zstd" | "gzip" = "gzip"): BundleRecord {
  return { ...layerOf(`view ${name}`, form), storePaths: [], popularity: 0, holdsView: true };
}

/** Of a package with one output; its view is a bundle of its own unless one of the given has it. */
export function recordOf(name: string, facts: Partial<PackageRecord> = {}): PackageRecord {
  const { form = "gzip", bundles = [bundleOf([name], 1, form)] } = facts;
  const hasView = bundles.some(({ holdsView }) => holdsView);
  return {
    outputs: [storePathOf(name)],
    kind: "package",
    form,
    packing: packingIdOf(`${form}-1`),
    coarser: [],
    provides: [],
    fallback: null,
    above: null,
    program: null,
    locale: { hasUtf8: false, hasZones: false, looksElsewhereForZones: false },
    modules: [],
    ...facts,
    bundles: hasView ? bundles : [...bundles, viewOf(name, form)],
  };
}

/** The bottom of an image, with these outputs in it. */
export function groundOf(
  names: readonly string[] = [],
  form: "zstd" | "gzip" = "gzip",
): PackageRecord {
  const bundle = bundleOf(names, 1_000_000_000, form, true);
  const outputs = names.map(storePathOf);
  return recordOf("ground", { kind: "ground", outputs, form, bundles: [bundle] });
}

export function foundOf(name: string, parts: Partial<FoundPackage> = {}): FoundPackage {
  const match = /^(.*?)-([0-9].*)$/.exec(name);
  const attribute = match?.[1] ?? name;
  return {
    kind: "found",
    attribute,
    derivation: `${storePathOf(name)}.drv`,
    outputs: [{ name: "out", path: storePathOf(name) }],
    name,
    version: match?.[2] ?? null,
    description: null,
    licenses: [],
    mainProgram: null,
    homepage: null,
    ...parts,
  };
}
