// What a name means to the rules: the packages that an image of it holds, each by the one attribute that
// it has in its set, whatever was written to get there.

import * as v from "valibot";
import { type CanonicalImage, canonicalImageOf } from "../image/canonical.ts";
import { type Found, type FoundPackage, packagesOf } from "../image/lookup.ts";
import { RECIPE_WORDS, type RecipeWord } from "../naming/front-words.ts";
import { type Pin, pinSchema } from "../naming/pin.ts";
import { isImplicit, type NamedRecipe, type PackageName, type Recipe } from "../naming/recipe.ts";

export interface Meaning {
  /** At which the names were looked up. */
  readonly pin: Pin;
  readonly words: readonly RecipeWord[];
  /** The attributes of what is named or what `shell` and `unix` stand for, but for what every image has. */
  readonly named: readonly string[];
  /** What comes with these besides, and what any of it calls itself: it may be refused, and need not be allowed. */
  readonly held: readonly string[];
  /** Names that lead to nothing, as they were written. */
  readonly unknown: readonly string[];
}

/** Of an image, or of one for each platform, of which each may lack some of the packages. */
export function meaningOf(
  { words }: Pick<NamedRecipe, "words">,
  images: readonly CanonicalImage[],
  pin: Pin,
  unknown: readonly string[] = [],
): Meaning {
  const ingredients = images.flatMap((image) => image.ingredients);
  const own = ingredients.filter(
    ({ name, neededBy }) => !isImplicit(name) && neededBy === undefined,
  );
  const contents = ingredients
    .filter(({ name }) => !isImplicit(name))
    .flatMap(({ found }) => packagesOf(found));
  return {
    pin,
    words,
    named: distinct(own.map(({ name }) => name)),
    held: distinct(contents.flatMap((each) => [each.attribute, ...ownNames(each)])),
    unknown: distinct(unknown),
  };
}

/** Of all that its names were found to be; one is unknown that leads to nothing on any platform. */
export function meaningOfLookups(
  recipes: readonly [Recipe, ...Recipe[]],
  found: readonly (readonly { readonly name: PackageName; readonly found: Found }[])[],
  pin: Pin,
): Meaning {
  const images = recipes.map((recipe, place) => canonicalImageOf(recipe, found[place] ?? []));
  const known = new Set(found.flat().map(({ name }) => name));
  const unknown = recipes[0].packages.filter((name) => !known.has(name) && !isImplicit(name));
  return meaningOf(recipes[0], images, pin, unknown);
}

/** An alias is another attribute, but calls itself the same; some with their version, some without. */
function ownNames({ name, version }: FoundPackage): readonly string[] {
  const [bare = name] = name.split(/-(?=[0-9])/);
  const suffix = `-${version}`;
  return [bare, version !== null && name.endsWith(suffix) ? name.slice(0, -suffix.length) : name];
}

function distinct(names: readonly string[]): readonly string[] {
  return [...new Set(names)].sort();
}

const names = v.pipe(v.array(v.pipe(v.string(), v.maxLength(512))), v.maxLength(16_384));
const meaningSchema: v.GenericSchema<unknown, Meaning> = v.object({
  pin: pinSchema,
  words: v.pipe(v.array(v.picklist(RECIPE_WORDS)), v.maxLength(RECIPE_WORDS.length)),
  named: names,
  held: names,
  unknown: names,
});
const meaningsSchema = v.object({
  meanings: v.pipe(v.array(meaningSchema), v.maxLength(64)),
});

/** As the origin tells the edge; undefined for anything else. */
export function parseMeanings(json: unknown): readonly Meaning[] | undefined {
  const parsed = v.safeParse(meaningsSchema, json);
  return parsed.success ? parsed.output.meanings : undefined;
}

/**
 * By which an edge asks, in a signed request for a manifest or a blob, what the name means and not for
 * the content: `tag` where a tag is, a pin where it was, `digest` where an image of the name holds that.
 */
export const MEANING_HEADER = "Nixport-Meaning";
/** Of an answer: no client wants one. */
export const MAX_MEANINGS_BYTES = 1024 * 1024;
