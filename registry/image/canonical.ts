// What a recipe is once its names are known: by the one attribute that each package has in its set. So
// all names that lead to the same packages give one image, whatever they say on the way.

import { attributeName, isEscaped, isSpellingOf, readPart } from "../naming/attribute.ts";
import { RECIPE_WORDS } from "../naming/front-words.ts";
import { needsOf, type PackageName, type Recipe, wordNeeding } from "../naming/recipe.ts";
import type { Found } from "./lookup.ts";
import type { Ingredient } from "./part.ts";

export interface CanonicalImage {
  readonly recipe: Recipe;
  /** In the recipe's order, one for each of its packages; behind them, in theirs, what its words need. */
  readonly ingredients: readonly Ingredient[];
}

/** `asked` is what all names for the recipe (`namesOf`) were found to be. */
export function canonicalImageOf(recipe: Recipe, asked: readonly Ingredient[]): CanonicalImage {
  const said = asked.filter(({ name }) => wordNeeding(recipe, name) === undefined);
  const distinct = new Map(said.map(({ found }) => [found.attribute, found]));
  const named = [...distinct.values()]
    .map((found) => ({ name: canonicalName(found), found }))
    // By bytes: all names are ASCII.
    .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  const needed = recipe.words.flatMap((word) =>
    needsOf(word).flatMap((name) => {
      const found = asked.find((each) => each.name === name)?.found;
      return found === undefined ? [] : [{ name: canonicalName(found), found, neededBy: word }];
    }),
  );
  return {
    recipe: { ...recipe, packages: named.map(({ name }) => name) },
    ingredients: [...named, ...needed],
  };
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
 * Whether a name says what was found by its letters alone, and not by a set that holds itself or an
 * output that is the whole package; or is one that a front word needs. So there are few of the kind.
 */
export function isDirectName(name: PackageName, found: Found): boolean {
  if (RECIPE_WORDS.some((word) => needsOf(word).includes(name))) return true;
  if (found.kind === "found") return isSpellingOf(name, found.attribute);
  const key = imageKey(found.attribute);
  if (isEscaped(name)) return readPart(name) === key;
  return [name, `_${name}`].includes(key.toLowerCase() as PackageName);
}
