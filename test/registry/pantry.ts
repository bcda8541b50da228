// A small package set for compose: packages that share paths, clash, bring shells and lack them.

import type { ComposedImage, Ingredient } from "../../registry/compose.ts";
import { compose } from "../../registry/compose.ts";
import type { PackageName } from "../../registry/recipe.ts";
import type { Form, PackageRecord } from "../../registry/record.ts";
import { VARIANT_TYPES, type Variant } from "../../registry/variant.ts";
import { bundleOf, foundOf, layerOf, recipeOf, recordOf } from "./fixture.ts";

type Outputs = (form: Form) => readonly PackageRecord[];

const glibc = (form: Form) => bundleOf(["glibc-2.36"], 900, form);
const env = (form: Form) => ({
  path: "/usr/bin/env" as const,
  target: "/nix/store/coreutils/bin/env",
  layer: layerOf("link env", form),
});
const sh = (form: Form) => ({
  path: "/bin/sh" as const,
  target: "/nix/store/dash/bin/sh",
  layer: layerOf("link sh", form),
});

/** Attribute names to what they are: the versioned name, and one record for each output. */
const PACKAGES: Readonly<Record<string, readonly [name: string, outputs: Outputs]>> = {
  bashInteractive: [
    "bash-interactive-5.2",
    (form) => [
      recordOf("bash-interactive-5.2", {
        form,
        bundles: [glibc(form), bundleOf(["bash-interactive-5.2", "readline-8.2"], 40, form)],
        provides: ["/bin/sh", "/bin/bash"],
        program: "bash",
      }),
    ],
  ],
  coreutils: [
    "coreutils-9.1",
    (form) => [
      recordOf("coreutils-9.1", {
        form,
        bundles: [glibc(form), bundleOf(["coreutils-9.1"], 400, form)],
        provides: ["/usr/bin/env"],
        program: "ls",
      }),
    ],
  ],
  moreutils: ["moreutils-0.67", (form) => [recordOf("moreutils-0.67", { form })]],
  nano: [
    "nano-7.2",
    (form) => [
      recordOf("nano-7.2", { form, bundles: [glibc(form), bundleOf(["nano-7.2"], 1, form)] }),
    ],
  ],
  cacert: ["nss-cacert-3.98", (form) => [recordOf("nss-cacert-3.98", { form, program: "never" })]],
  "iana-etc": ["iana-etc-20230215", (form) => [recordOf("iana-etc-20230215", { form })]],
  git: [
    "git-2.39.5",
    (form) => [
      recordOf("git-2.39.5", {
        form,
        bundles: [
          glibc(form),
          bundleOf(["perl-5.36"], 40, form),
          bundleOf(["git-2.39.5", "a-1", "b-1", "c-1", "d-1", "e-1"], 3, form),
        ],
        fallbacks: [sh(form), env(form)],
        program: "git",
      }),
    ],
  ],
  htop: [
    "htop-3.2.2",
    (form) => [
      recordOf("htop-3.2.2", {
        form,
        bundles: [glibc(form), bundleOf(["htop-3.2.2"], 1, form)],
        program: "htop",
      }),
    ],
  ],
  perl: [
    "perl-5.36",
    (form) => [
      recordOf("perl-5.36", {
        form,
        bundles: [glibc(form), bundleOf(["perl-5.36"], 40, form)],
        fallbacks: [{ ...sh(form), target: "/other/sh", layer: layerOf("other sh", form) }],
      }),
    ],
  ],
  dash: ["dash-0.5", (form) => [recordOf("dash-0.5", { form, provides: ["/bin/sh"] })]],
  openssl: [
    "openssl-3.0",
    (form) => [
      recordOf("openssl-3.0-bin", { form, program: "openssl" }),
      recordOf("openssl-3.0", { form, bundles: [glibc(form)], view: null }),
    ],
  ],
};
const ALIASES: Readonly<Record<string, string>> = { gitminimal: "git", "0git": "git" };

/** What the recipe of a repository name is composed of. */
export function ingredientsOf(repository: string, form: Form): readonly Ingredient[] {
  return recipeOf(repository).packages.map((name) => ingredientOf(name, form));
}

export function ingredientOf(name: PackageName, form: Form): Ingredient {
  const known = PACKAGES[ALIASES[name] ?? name];
  if (known === undefined) throw new Error(`the pantry has no ${name}`);
  const [versioned, outputs] = known;
  return { name, found: foundOf(versioned), records: outputs(form) };
}

export async function composed(
  repository: string,
  variant: Variant = "oci-gzip",
  ingredients = ingredientsOf(repository, VARIANT_TYPES[variant].form),
): Promise<ComposedImage> {
  const base = layerOf("base", VARIANT_TYPES[variant].form);
  const result = await compose(recipeOf(repository), ingredients, base, variant);
  if (result.kind !== "image") throw new Error(`${repository}: ${result.kind}`);
  return result.image;
}

export interface ConfigJson {
  readonly architecture: string;
  readonly config: { readonly Cmd?: readonly string[]; readonly Labels: Record<string, string> };
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
