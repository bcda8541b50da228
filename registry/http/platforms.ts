// Which platforms a pull is for: the one its name says, else those configured, as an index where the
// client takes one.

import { VARIANT_TYPES, type Variant } from "../image/variant.ts";
import {
  ARCHITECTURES,
  type Architecture,
  canonicalNames,
  canonicalRecipe,
  type NamedRecipe,
  platformName,
  type Recipe,
} from "../naming/recipe.ts";
import { takesIndex, VARIANT_HEADER } from "./negotiation.ts";

/** At least one, each once, the one for clients that take no index first. */
export type Platforms = readonly [Architecture, ...Architecture[]];

export type WantedImage =
  | { readonly kind: "image"; readonly recipe: Recipe }
  /** One recipe for each platform, at least two. */
  | { readonly kind: "index"; readonly recipes: readonly Recipe[] }
  /** The same for a client that takes no index: it gets the first that can be had. */
  | { readonly kind: "first"; readonly recipes: readonly Recipe[] };

/** Reads `linux/amd64,linux/arm64`; undefined for anything but such a list. */
export function parsePlatforms(text: string): Platforms | undefined {
  const names = text.split(",").map((part) => part.trim());
  const [first, ...rest] = names.flatMap(
    (name) => ARCHITECTURES.find((architecture) => name === platformName(architecture)) ?? [],
  );
  if (first === undefined || rest.length + 1 < names.length) return undefined;
  return new Set(names).size < names.length ? undefined : [first, ...rest];
}

export function formatPlatforms(platforms: Platforms): string {
  return platforms.map(platformName).join(",");
}

/** Those that a name can mean. */
export function platformsOf(
  { architecture }: Pick<NamedRecipe, "architecture">,
  configured: Platforms,
): Platforms {
  return architecture === null ? configured : [architecture];
}

/** One for each platform that a name can mean. */
export function recipesOf(
  { architecture, words, packages }: NamedRecipe,
  configured: Platforms,
): readonly [Recipe, ...Recipe[]] {
  const [first, ...rest] = platformsOf({ architecture }, configured);
  const on = (each: Architecture) => ({ architecture: each, words, packages });
  return [on(first), ...rest.map(on)];
}

export function wantedImage(
  named: NamedRecipe,
  configured: Platforms,
  headers: Headers,
  variant: Variant,
): WantedImage {
  const recipes = recipesOf(named, configured);
  if (recipes.length === 1) return { kind: "image", recipe: recipes[0] };
  return { kind: takesIndex(headers, variant) ? "index" : "first", recipes };
}

/** What of it can be composed without knowing which platforms its packages support. */
export function wantedRecipes(wanted: WantedImage): readonly Recipe[] {
  switch (wanted.kind) {
    case "image":
      return [wanted.recipe];
    case "index":
      return wanted.recipes;
    case "first":
      return wanted.recipes.slice(0, 1);
    default:
      return wanted satisfies never;
  }
}

/**
 * The one spelling of what is wanted, for keys: that of its recipe, and for an index all platforms,
 * joined by a sign that no name has, in front of the rest.
 */
export function canonicalImage(wanted: WantedImage): string {
  const recipes = wantedRecipes(wanted);
  const [first] = recipes;
  if (first === undefined) throw new Error("an image for no platform");
  if (recipes.length === 1) return canonicalRecipe(first);
  return [recipes.map((recipe) => recipe.architecture).join("+"), canonicalNames(first)].join("/");
}

/** By which the edge says what it is configured for, so that two configurations never mix. */
export const PLATFORMS_HEADER = "Nixport-Platforms";

/** How the edge asks the origin, since it passes no header of its client on. */
export function originHeaders(
  wanted: WantedImage,
  configured: Platforms,
  variant: Variant,
): Readonly<Record<string, string>> {
  const { manifest, index } = VARIANT_TYPES[variant];
  const accept = wanted.kind === "index" ? `${manifest}, ${index}` : manifest;
  return { Accept: accept, ...digestHeaders(configured, variant) };
}

/** The same of what is named by its digest: which image of a name it may be, and which most likely. */
export function digestHeaders(
  configured: Platforms,
  variant: Variant,
): Readonly<Record<string, string>> {
  return { [PLATFORMS_HEADER]: formatPlatforms(configured), [VARIANT_HEADER]: variant };
}
