// What a repository name means: the recipe. `shell/git` and `git/shell/…` are told apart here and
// nowhere else; two names of one recipe have one canonical form, and so one image.

import { exactSpelling, isEscaped, readPart } from "./attribute.ts";
import {
  EXPANSION_WORDS,
  EXPANSIONS,
  NEEDS,
  RECIPE_WORDS,
  type RecipeWord,
} from "./front-words.ts";

declare const packageNameBrand: unique symbol;
/** A package as a recipe names it: one path segment, or a name a front word stands for. */
export type PackageName = string & { readonly [packageNameBrand]: "PackageName" };

export const ARCHITECTURES = ["amd64", "arm64"] as const;
/** The OCI name of a machine type. */
export type Architecture = (typeof ARCHITECTURES)[number];
/** Nix's name of a machine type. */
export const SYSTEMS = ["x86_64-linux", "aarch64-linux"] as const;
export type System = (typeof SYSTEMS)[number];

/** What one image is made of. */
export interface Recipe {
  readonly architecture: Architecture;
  /** Those of its front words that are not short for packages, sorted. */
  readonly words: readonly RecipeWord[];
  /** Sorted by bytes, without repetition, with what every image holds. */
  readonly packages: readonly PackageName[];
}

/** What a name says: without a platform it means whichever are configured (platforms.ts). */
export interface NamedRecipe {
  readonly architecture: Architecture | null;
  readonly words: readonly RecipeWord[];
  readonly packages: readonly PackageName[];
}

export type RecipeResult =
  | { readonly kind: "recipe"; readonly recipe: NamedRecipe }
  | { readonly kind: "invalid"; readonly reason: string };

/** Docker's limit on a whole repository name; kubelet and containerd share it. */
export const MAX_NAME_LENGTH = 255;
/** Each package brings a layer with its view, and an image must leave room below the layer limit. */
export const MAX_PACKAGES = 64;
/**
 * nixpkgs itself is some six sets deep. Nix compares each set on the way with those before it, to tell
 * where one holds itself.
 */
export const MAX_PARTS = 16;

/** One path component of the distribution specification's name grammar. */
const COMPONENT = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;

export const CERTIFICATES_PACKAGE = "cacert";
const ALWAYS = [CERTIFICATES_PACKAGE, "iana-etc"] as const;
const FRONT_WORDS = [...EXPANSION_WORDS, ...RECIPE_WORDS, ...ARCHITECTURES] as const;

export function parseRepository(name: string): RecipeResult {
  if (name.length > MAX_NAME_LENGTH) {
    return invalid(`the name has ${name.length} characters; ${MAX_NAME_LENGTH} are allowed`);
  }
  const components = name.split("/");
  const malformed = components.find((component) => !COMPONENT.test(component));
  if (malformed !== undefined) return invalid(explainComponent(malformed));
  const misspelled = components.flatMap((component) => explainParts(component) ?? [])[0];
  if (misspelled !== undefined) return invalid(misspelled);

  const isWord = (component: string) => FRONT_WORDS.some((word) => word === component);
  const wordsEnd = components.findIndex((component) => !isWord(component));
  const leading = wordsEnd === -1 ? components : components.slice(0, wordsEnd);
  const named = wordsEnd === -1 ? [] : components.slice(wordsEnd);
  const platforms = ARCHITECTURES.filter((architecture) => components.includes(architecture));
  if (platforms.length > 1) {
    return invalid(
      `${platforms.join(" and ")} are two platforms: name one of them, or neither for all that are configured`,
    );
  }
  const misplaced = named.find(isWord);
  if (misplaced !== undefined) {
    const rest = components.filter((component) => component !== misplaced);
    return invalid(
      `${misplaced} is a front word and stands only in front: ${[misplaced, ...rest].join("/")}`,
    );
  }
  const packages = new Set([
    ...named,
    ...ALWAYS,
    ...EXPANSION_WORDS.filter((word) => leading.includes(word)).flatMap((word) => EXPANSIONS[word]),
  ]);
  if (packages.size > MAX_PACKAGES) {
    return invalid(`the name asks for ${packages.size} packages; ${MAX_PACKAGES} are allowed`);
  }
  return {
    kind: "recipe",
    recipe: {
      architecture: platforms[0] ?? null,
      words: RECIPE_WORDS.filter((word) => leading.includes(word)),
      // All names are ASCII, so the default order is the order of bytes.
      packages: [...packages].sort() as PackageName[],
    },
  };
}

/**
 * The one spelling of a recipe, for keys and labels. No package name holds a slash, and no front word
 * is ever a package, so two recipes never share a spelling.
 */
export function canonicalRecipe(recipe: Recipe): string {
  const platform = recipe.architecture === "amd64" ? [] : [recipe.architecture];
  return [...platform, canonicalNames(recipe)].join("/");
}

/** The same without a platform. */
export function canonicalNames({ words, packages }: Omit<Recipe, "architecture">): string {
  return [...words, ...packages].join("/");
}

/** What `canonicalRecipe` has spelled, with the names as their set has them. Undefined for anything else. */
export function parseCanonicalRecipe(text: string): Recipe | undefined {
  const components = text.split("/");
  const [first] = components;
  const architecture = ARCHITECTURES.find((each) => each === first) ?? "amd64";
  const rest = components.slice(first === architecture ? 1 : 0);
  const words = RECIPE_WORDS.filter((word) => rest.includes(word));
  const packages = rest.slice(words.length) as PackageName[];
  const recipe = { architecture, words, packages };
  const isOne = packages.length <= MAX_PACKAGES && packages.every(isName);
  return isOne && canonicalRecipe(recipe) === text ? recipe : undefined;
}

function isName(text: string): boolean {
  return text !== "" && !FRONT_WORDS.some((word) => word === text);
}

/** Every name that is looked up for an image of it: what is named, and what its words need. */
export function namesOf({ words, packages }: Omit<Recipe, "architecture">): readonly PackageName[] {
  return [...new Set([...packages, ...words.flatMap(needsOf)])];
}

/** In the order of the part that they are (part.ts). */
export function needsOf(word: RecipeWord): readonly PackageName[] {
  return NEEDS[word] as readonly PackageName[];
}

/** The word that an image holds a package for, where its name does not say the package itself. */
export function wordNeeding(
  { words, packages }: Omit<Recipe, "architecture">,
  name: PackageName,
): RecipeWord | undefined {
  if (packages.includes(name)) return undefined;
  return words.find((word) => needsOf(word).includes(name));
}

/** Packages that are in every image whether named or not: never what the user came for. */
export function isImplicit(name: PackageName): boolean {
  return ALWAYS.some((always) => always === name);
}

/** What every image holds, where the package set has it: without certificates it still serves. */
export function isSpared(name: PackageName, { kind }: { readonly kind: string }): boolean {
  return kind === "missing" && isImplicit(name);
}

/** The only place that turns an OCI architecture into a Nix system. */
export function systemOf(architecture: Architecture): System {
  switch (architecture) {
    case "amd64":
      return "x86_64-linux";
    case "arm64":
      return "aarch64-linux";
    default:
      return architecture satisfies never;
  }
}

function invalid(reason: string): RecipeResult {
  return { kind: "invalid", reason };
}

function explainComponent(component: string): string {
  if (component === "") return "the name has an empty part: packages are joined by single slashes";
  const shown = JSON.stringify(component.slice(0, MAX_SHOWN));
  if (/^[A-Za-z0-9._-]+$/.test(component) && COMPONENT.test(component.toLowerCase())) {
    const lower = JSON.stringify(component.slice(0, MAX_SHOWN).toLowerCase());
    return `${shown} has upper-case letters, which image names may not: write ${lower}, any spelling of a package is found`;
  }
  return `${shown} is no part of an image name: lower-case letters and digits, joined by ., _, __ or -${howInstead(component)}`;
}

const MAX_SHOWN = 80;

function howInstead(component: string): string {
  const parts = component.split(".");
  if (parts.includes("")) return "";
  const spelled = parts.flatMap((part) => exactSpelling(part) ?? []);
  return spelled.length < parts.length
    ? "; no name can say a package that is called so: its set must give it another name, or a whole image that holds it"
    : `; a package that is called so is written ${JSON.stringify(spelled.join(".").slice(0, 4 * MAX_SHOWN))}`;
}

/** What is wrong with the parts of a component that the grammar allows, each a name in a set. */
function explainParts(component: string): string | undefined {
  const parts = component.split(".");
  if (parts.length > MAX_PARTS) {
    return `a package's name has ${parts.length} parts joined by dots; ${MAX_PARTS} are allowed`;
  }
  // One spelling for each attribute, or there is no end of names for it.
  const spelled = parts.map((part) =>
    isEscaped(part) ? (exactSpelling(readPart(part)) ?? part) : part,
  );
  if (spelled.join(".") === component) return undefined;
  return `${JSON.stringify(component)} escapes what needs none, or not all that does: write ${JSON.stringify(spelled.join("."))}`;
}

/** As clients spell a platform. Images for Linux are all there are. */
export function platformName(architecture: Architecture): string {
  return `linux/${architecture}`;
}
