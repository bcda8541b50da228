// A small package set for compose: packages that share paths, clash, bring shells and lack them.

import { canonicalImageOf } from "../../registry/image/canonical.ts";
import type { ComposedImage } from "../../registry/image/compose.ts";
import { compose } from "../../registry/image/compose.ts";
import { type ImageFacts, imageFacts } from "../../registry/image/image-facts.ts";
import { type Ingredient, type Part, partName, partsOf } from "../../registry/image/part.ts";
import type { FallbackLink, Form, PackageRecord } from "../../registry/image/record.ts";
import { VARIANT_TYPES, type Variant } from "../../registry/image/variant.ts";
import { EXPANSIONS } from "../../registry/naming/front-words.ts";
import { namesOf, type PackageName } from "../../registry/naming/recipe.ts";
import { type StorePath, storePathName } from "../../registry/naming/store-path.ts";
import {
  bundleOf,
  defined,
  foundOf,
  groundOf,
  layerOf,
  packingIdOf,
  pinOf,
  recipeOf,
  recordOf,
  storePathOf,
} from "./fixture.ts";

/** Attribute names to what they are: the names of their outputs. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  bashInteractive: ["bash-interactive-5.2"],
  coreutils: ["coreutils-9.1"],
  moreutils: ["moreutils-0.67"],
  nano: ["nano-7.2"],
  cacert: ["nss-cacert-3.98"],
  "iana-etc": ["iana-etc-20230215"],
  git: ["git-2.39.5"],
  htop: ["htop-3.2.2"],
  perl: ["perl-5.36"],
  dash: ["dash-0.5"],
  openssl: ["openssl-3.0", "openssl-3.0-bin"],
  "nix-ld": ["nix-ld-2.0"],
  "glibc.out": ["glibc-2.36"],
  "stdenv.cc.cc.lib": ["gcc-12-lib"],
  zlib: ["zlib-1.3"],
  "openssl.out": ["openssl-3.0"],
  ...Object.fromEntries(EXPANSIONS.unix.map((name) => [name, [`${name}-1`]])),
};
const ALIASES: Readonly<Record<string, string>> = { gitminimal: "git", "0git": "git" };

const glibc = (form: Form) => bundleOf(["glibc-2.36"], 900, form);
const fallback = (name: string, form: Form, links: readonly FallbackLink[]) => ({
  links,
  layer: layerOf(`links ${name}`, form),
});
const SH = { path: "/bin/sh", target: "/nix/store/dash/bin/sh" } as const;
const ENV = { path: "/usr/bin/env", target: "/nix/store/coreutils/bin/env" } as const;

const FHS = ["nix-ld-2.0", "glibc-2.36", "gcc-12-lib", "zlib-1.3", "openssl-3.0", "coreutils-9.1"];
const SHELL = [
  ...["bash-interactive-5.2", "coreutils-9.1", "moreutils-0.67", "nano-7.2", "readline-8.2"],
];

/** By what the outputs are named, what their record has besides. */
const FACTS: Readonly<Record<string, (form: Form) => Partial<PackageRecord>>> = {
  "bash-interactive-5.2": (form) => ({
    bundles: [glibc(form), bundleOf(["bash-interactive-5.2", "readline-8.2"], 40, form)],
    provides: ["/bin/sh", "/bin/bash"],
    program: "bash",
  }),
  "coreutils-9.1": (form) => ({
    bundles: [glibc(form), bundleOf(["coreutils-9.1"], 400, form)],
    provides: ["/usr/bin/env"],
    program: "ls",
  }),
  "bash-interactive-5.2 coreutils-9.1 moreutils-0.67 nano-7.2": (form) => ({
    bundles: [glibc(form), bundleOf(SHELL, 400, form, true)],
    provides: ["/bin/sh", "/bin/bash", "/usr/bin/env"],
    program: "bash",
  }),
  "nano-7.2": (form) => ({ bundles: [glibc(form), bundleOf(["nano-7.2"], 1, form)] }),
  "git-2.39.5": (form) => ({
    bundles: [
      glibc(form),
      bundleOf(["perl-5.36"], 40, form),
      bundleOf(["git-2.39.5", "a-1", "b-1", "c-1", "d-1", "e-1"], 3, form),
    ],
    fallback: fallback("git", form, [SH, ENV]),
    program: "git",
  }),
  "htop-3.2.2": (form) => ({
    bundles: [glibc(form), bundleOf(["htop-3.2.2"], 1, form)],
    program: "htop",
  }),
  "perl-5.36": (form) => ({
    bundles: [glibc(form), bundleOf(["perl-5.36"], 40, form)],
    fallback: fallback("perl", form, [{ ...SH, target: "/other/sh" }]),
  }),
  [FHS.join(" ")]: (form) => ({
    bundles: [
      glibc(form),
      ...["gcc-12-lib", "openssl-3.0", "coreutils-9.1"].map((name) => bundleOf([name], 400, form)),
      bundleOf(["nix-ld-2.0", "zlib-1.3"], 9, form, true),
    ],
    provides: ["/usr/bin/env"],
    above: {
      links: [
        { path: "/lib64/ld-linux-x86-64.so.2", target: "/nix/store/nix-ld" },
        { path: "/usr/bin", target: "../bin" },
      ],
      layer: layerOf("links of fhs", form),
    },
  }),
  "dash-0.5": () => ({ provides: ["/bin/sh"] }),
  "openssl-3.0 openssl-3.0-bin": (form) => ({
    bundles: [glibc(form), bundleOf(["openssl-3.0", "openssl-3.0-bin"], 1, form, true)],
    program: "openssl",
  }),
};

/** The layer at the bottom of every image. */
export const GROUND_LAYER = layerOf("viewed bundle nss-cacert-3.98 iana-etc-20230215");

/** What the recipe of a repository name is composed of. */
export function ingredientsOf(repository: string): readonly Ingredient[] {
  const recipe = recipeOf(repository);
  return canonicalImageOf(recipe, namesOf(recipe).map(ingredientOf)).ingredients;
}

export function ingredientOf(name: PackageName): Ingredient {
  const [versioned, ...others] = defined(PACKAGES[ALIASES[name] ?? name], name);
  const found = foundOf(defined(versioned, name));
  const besides = others.map((other) => ({ name: other, path: storePathOf(other) }));
  const attribute = ALIASES[name] ?? name;
  return { name, found: { ...found, attribute, outputs: [...found.outputs, ...besides] } };
}

/** The records of the parts, in their order. */
export function recordsOf(
  ingredients: readonly Ingredient[],
  form: Form,
): readonly PackageRecord[] {
  return partsOf(ingredients).map((part) => recordOfPart(part, form));
}

function recordOfPart(part: Part, form: Form): PackageRecord {
  const names = part.outputs.map((path: StorePath) => storePathName(path));
  if (part.kind === "ground") return groundOf(names, form);
  const facts = FACTS[names.join(" ")]?.(form);
  return recordOf(names[0] ?? partName(part), { ...part, form, ...facts });
}

export async function composed(
  repository: string,
  variant: Variant = "oci-gzip",
  ingredients = ingredientsOf(repository),
  records = recordsOf(ingredients, VARIANT_TYPES[variant].form),
): Promise<ComposedImage> {
  const { recipe } = canonicalImageOf(recipeOf(repository), ingredients);
  const result = await compose(recipe, ingredients, records, variant);
  if (result.kind !== "image") throw new Error(`${repository}: ${result.kind}`);
  return result.image;
}

export interface ConfigJson {
  readonly architecture: string;
  readonly config: {
    readonly Cmd?: readonly string[];
    readonly Env: readonly string[];
    readonly User?: string;
    readonly WorkingDir: string;
    readonly Labels: Record<string, string>;
  };
  readonly rootfs: { readonly diff_ids: readonly string[] };
  readonly history: readonly { readonly created_by: string }[];
}
export interface ManifestJson {
  readonly mediaType: string;
  readonly config: { readonly mediaType: string; readonly digest: string; readonly size: number };
  readonly layers: readonly {
    readonly mediaType: string;
    readonly digest: string;
    readonly size: number;
  }[];
}

/** An image, its two documents, and what its history says that its layers hold. */
export async function read(...args: Parameters<typeof composed>) {
  const image = await composed(...args);
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  const config: ConfigJson = JSON.parse(text(image.config.bytes));
  const manifest: ManifestJson = JSON.parse(text(image.manifest.bytes));
  const holds = config.history.map((line) => line.created_by.replace(/^nixport /, ""));
  return { image, config, manifest, holds };
}

type Variants = readonly [Variant, ...Variant[]];

/** An image as it is known where its records are, in these forms. */
export async function knownOf(repository: string, variants: Variants = ["oci-gzip"]) {
  const recipe = recipeOf(repository);
  const image = canonicalImageOf(recipe, namesOf(recipe).map(ingredientOf));
  const formOf = async (variant: Variant) => {
    const { form } = VARIANT_TYPES[variant];
    const records = recordsOf(image.ingredients, form);
    const packing = packingIdOf(`${form}-1`);
    return { variant, packing, image: await composed(repository, variant), records };
  };
  const [first, ...others] = variants;
  const forms = [await formOf(first), ...(await Promise.all(others.map(formOf)))] as const;
  return { kind: "known", image, forms } as const;
}

/** What is told of it. */
export async function factsOf(repository: string, variants?: Variants): Promise<ImageFacts> {
  const { image, forms } = await knownOf(repository, variants);
  const at = { pin: pinOf("a".repeat(40)), resolvedAtMs: 1000, isNewest: true };
  return imageFacts(image, forms, at);
}
