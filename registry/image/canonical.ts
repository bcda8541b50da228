// What a recipe is once its names are known: by the one attribute that each package has in its set. So
// all names that lead to the same packages give one image, whatever they say on the way.

import { attributeName, isEscaped, isSpellingOf, readPart } from "../naming/attribute.ts";
import type { PackageName, Recipe } from "../naming/recipe.ts";
import type { Found } from "./lookup.ts";
import type { Ingredient } from "./part.ts";

export interface CanonicalImage {
  readonly recipe: Recipe;
  /** In the recipe's order, one for each of its packages. */
  readonly ingredients: readonly Ingredient[];
}

/** `asked` is what the names of the recipe were found to be. */
export function canonicalImageOf(recipe: Recipe, asked: readonly Ingredient[]): CanonicalImage {
  const distinct = new Map(asked.map(({ found }) => [found.attribute, found]));
  const ingredients = [...distinct.values()]
    .map((found) => ({ name: canonicalName(found), found }))
    // By bytes: all names are ASCII.
    .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  return { recipe: { ...recipe, packages: ingredients.map(({ name }) => name) }, ingredients };
}

/** Whole images are named as packages are, though their set has them in a set of their own. */
export function canonicalName(found: Found): PackageName {
  const { attribute } = found;
  return (found.kind === "image" ? attributeName([imageKey(attribute)]) : attribute) as PackageName;
}

function imageKey(attribute: string): string {
  return attribute.slice(attribute.indexOf(".") + 1);
}

/**
 * Whether a name says what was found by its letters alone, so that there are few of the kind, and
 * not by a set that holds itself or an output that is the whole package.
 */
export function isDirectName(name: PackageName, found: Found): boolean {
  if (found.kind === "found") return isSpellingOf(name, found.attribute);
  const key = imageKey(found.attribute);
  if (isEscaped(name)) return readPart(name) === key;
  return [name, `_${name}`].includes(key.toLowerCase() as PackageName);
}
