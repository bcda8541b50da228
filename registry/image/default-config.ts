// The config of an image that nobody has configured: what its packages say by being there.

import {
  CERTIFICATES_PACKAGE,
  canonicalRecipe,
  isImplicit,
  type Recipe,
} from "../naming/recipe.ts";
import type { ImageConfig } from "./image-config.ts";
import { type Found, type FoundPackage, outputPathsOf, packagesOf } from "./lookup.ts";
import type { Ingredient } from "./part.ts";
import type { PackageRecord } from "./record.ts";

const ENVIRONMENT = ["PATH=/bin:/usr/bin:/sbin:/usr/sbin", "HOME=/root"] as const;
/** Of a file that is not there programs would complain. */
const CERTIFICATES = "SSL_CERT_FILE=/etc/ssl/certs/ca-bundle.crt";

export function defaultConfig(
  recipe: Recipe,
  ingredients: readonly Ingredient[],
  records: readonly PackageRecord[],
): ImageConfig {
  const hasCertificates = ingredients.some(({ name }) => name === CERTIFICATES_PACKAGE);
  const command = defaultCommand(ingredients, records);
  const versions = (found: Found) => packagesOf(found).map(packageVersion);
  const named = ingredients.filter(({ name }) => !isImplicit(name));
  const described = named.flatMap(({ found }) => versions(found)).join(", ");
  return {
    Env: [...ENVIRONMENT, ...(hasCertificates ? [CERTIFICATES] : [])],
    ...(command !== null && { Cmd: [command] }),
    WorkingDir: "/",
    Labels: {
      "org.opencontainers.image.title": canonicalRecipe(recipe),
      "org.opencontainers.image.description": `Nix packages: ${described}`,
      "nixport.recipe": canonicalRecipe(recipe),
      "nixport.packages": ingredients.flatMap(({ found }) => versions(found)).join(" "),
    },
  };
}

/** The shell if a package of the recipe is one, else the main program of the first that has one. */
function defaultCommand(
  ingredients: readonly Ingredient[],
  records: readonly PackageRecord[],
): string | null {
  for (const shell of ["/bin/bash", "/bin/sh"] as const) {
    if (records.some((record) => record.provides.includes(shell))) return shell;
  }
  for (const { name, found } of ingredients) {
    if (isImplicit(name)) continue;
    const said = packagesOf(found).find(({ mainProgram }) => mainProgram)?.mainProgram;
    const own = new Set(outputPathsOf(found));
    const program =
      said ??
      records.find((each) => each.program && each.outputs.some((path) => own.has(path)))?.program;
    if (program) return `/bin/${program}`;
  }
  return null;
}

function packageVersion({ name, version }: FoundPackage): string {
  return version === null || name.endsWith(`-${version}`) ? name : `${name}-${version}`;
}
