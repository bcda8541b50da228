// The config of an image that nobody has configured: what its packages say by being there.

import {
  CERTIFICATES_PACKAGE,
  canonicalRecipe,
  isImplicit,
  type Recipe,
} from "../naming/recipe.ts";
import type { ImageConfig } from "./image-config.ts";
import { type Found, type FoundPackage, outputPathsOf, packagesOf } from "./lookup.ts";
import { type Ingredient, namedAlone } from "./part.ts";
import { type LocaleFacts, MODULE_KINDS, type ModuleKind, type PackageRecord } from "./record.ts";

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
/**
 * What nix-ld looks for by itself lies below /run, which may be a file system of the runtime's own. The
 * libraries of the view are for foreign programs alone: LD_LIBRARY_PATH would come before what Nix's own
 * programs were linked with.
 */
const FOREIGN = ["NIX_LD=/lib/ld.so", "NIX_LD_LIBRARY_PATH=/lib"];
/** By numbers: a policy such as Kubernetes' runAsNonRoot takes no name for an answer. */
const NONROOT = { User: "65532:65532", WorkingDir: "/home/nonroot" };
/** Where views have modules, and how nixpkgs' interpreters are told of them. */
const MODULES: Readonly<Record<ModuleKind, string>> = {
  perl: "PERL5LIB=/lib/perl5/site_perl",
  python: "NIX_PYTHONPATH=/share/nixport/python",
};

export function defaultConfig(
  recipe: Recipe,
  ingredients: readonly Ingredient[],
  records: readonly PackageRecord[],
): ImageConfig {
  const hasCertificates = ingredients.some(({ name }) => name === CERTIFICATES_PACKAGE);
  const is = (fact: keyof LocaleFacts) => records.some(({ locale }) => locale[fact]);
  const needsZoneFolder = is("hasZones") && is("looksElsewhereForZones");
  const modules = MODULE_KINDS.filter((kind) =>
    records.some((record) => record.modules.includes(kind)),
  );
  const versions = (found: Found) => packagesOf(found).map(packageVersion);
  const named = ingredients.filter(({ neededBy }) => neededBy === undefined);
  const command = defaultCommand(ingredients, records);
  const described = named
    .filter(({ name }) => !isImplicit(name))
    .flatMap(({ found }) => versions(found));
  const all = new Set(ingredients.flatMap(({ found }) => versions(found)));
  return {
    Env: [
      PATH,
      ...(hasCertificates ? [CERTIFICATES] : []),
      ...(is("hasUtf8") ? [LOCALE] : []),
      ...(needsZoneFolder ? [ZONES] : []),
      ...(recipe.words.includes("fhs") ? FOREIGN : []),
      ...modules.map((kind) => MODULES[kind]),
    ],
    ...(command !== null && { Cmd: [command] }),
    WorkingDir: "/",
    ...(recipe.words.includes("nonroot") && NONROOT),
    Labels: {
      "org.opencontainers.image.title": canonicalRecipe(recipe),
      "org.opencontainers.image.description": `Nix packages: ${described.join(", ")}`,
      "nixport.recipe": canonicalRecipe(recipe),
      "nixport.packages": [...all].join(" "),
    },
  };
}

/** The shell if a package of the recipe is one, else the main program of the first named that has one. */
function defaultCommand(
  ingredients: readonly Ingredient[],
  records: readonly PackageRecord[],
): string | null {
  for (const shell of ["/bin/bash", "/bin/sh"] as const) {
    if (records.some((record) => record.provides.includes(shell))) return shell;
  }
  const packages = records.filter(({ kind }) => kind === "package");
  for (const { name, found } of namedAlone(ingredients)) {
    if (isImplicit(name)) continue;
    const said = packagesOf(found).find(({ mainProgram }) => mainProgram)?.mainProgram;
    const own = new Set(outputPathsOf(found));
    const program =
      said ??
      packages.find((each) => each.program && each.outputs.some((path) => own.has(path)))?.program;
    if (program) return `/bin/${program}`;
  }
  return null;
}

function packageVersion({ name, version }: FoundPackage): string {
  return version === null || name.endsWith(`-${version}`) ? name : `${name}-${version}`;
}
