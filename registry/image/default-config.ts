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
import type { LocaleFacts, PackageRecord } from "./record.ts";

/**
 * Without HOME: a runtime takes that from /etc/passwd for whoever is the user, and from here for all. What
 * is put into /usr/local/bin is found, and before what packages bring, as platforms and people expect.
 */
const PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/** Of a file that is not there programs would complain. */
const CERTIFICATES = "SSL_CERT_FILE=/etc/ssl/certs/ca-bundle.crt";
/** Of a locale that is not there perl would complain. */
const LOCALE = "LANG=C.UTF-8";
const ZONES = "TZDIR=/usr/share/zoneinfo";

export function defaultConfig(
  recipe: Recipe,
  ingredients: readonly Ingredient[],
  records: readonly PackageRecord[],
): ImageConfig {
  const hasCertificates = ingredients.some(({ name }) => name === CERTIFICATES_PACKAGE);
  const is = (fact: keyof LocaleFacts) => records.some(({ locale }) => locale[fact]);
  const needsZoneFolder = is("hasZones") && is("looksElsewhereForZones");
  const command = defaultCommand(ingredients, records);
  const versions = (found: Found) => packagesOf(found).map(packageVersion);
  const named = ingredients.filter(({ name }) => !isImplicit(name));
  const described = named.flatMap(({ found }) => versions(found)).join(", ");
  return {
    Env: [
      PATH,
      ...(hasCertificates ? [CERTIFICATES] : []),
      ...(is("hasUtf8") ? [LOCALE] : []),
      ...(needsZoneFolder ? [ZONES] : []),
    ],
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
