// Which outputs of an image share one record: those of one package, those that a front word stands for
// or needs, those that every image holds; and all of them, for what Nix must know of an image that it is
// in. Decided by recipe and lookups alone, so that edge and origin ask for the same records.

import {
  EXPANSION_WORDS,
  EXPANSIONS,
  type ExpansionWord,
  type RecipeWord,
} from "../naming/front-words.ts";
import { isImplicit, type PackageName } from "../naming/recipe.ts";
import { type StorePath, storePathBase } from "../naming/store-path.ts";
import { type Found, type FoundPackage, outputPathsOf, packagesOf } from "./lookup.ts";

/** A name of a recipe, as it was asked or the canonical one, and what it was found to be. */
export interface Ingredient {
  readonly name: PackageName;
  readonly found: Found;
  /** Of what the name of an image does not say, the front word that needs it. */
  readonly neededBy?: RecipeWord;
}

/**
 * One package; what `shell` or `unix` stands for; what `fhs` needs; what Nix knows of the image's store
 * paths, the one part that depends on all others; or the bottom of an image, which is what every image
 * holds, with the files that no package brings, such as `/etc/passwd`.
 */
export const PART_KINDS = ["package", ...EXPANSION_WORDS, "fhs", "database", "ground"] as const;
export type PartKind = (typeof PART_KINDS)[number];

/**
 * What belongs together costs fewer layers together: the light outputs of a part and the links of all
 * of them are one layer.
 */
export interface Part {
  readonly kind: PartKind;
  /**
   * Without repetition; where two offer one file the first one's is shown. A ground may be without any.
   */
  readonly outputs: readonly StorePath[];
}

/**
 * The parts of an image, the first on top. What is named lies above what front words stand for, so that
 * it wins where both offer a file, that above what they need, and below all is what every image holds;
 * of what is named, the first of the recipe wins.
 */
export function partsOf(ingredients: readonly Ingredient[]): readonly Part[] {
  const named = ingredients.filter(({ neededBy }) => neededBy === undefined);
  const needed = ingredients.filter(({ neededBy }) => neededBy !== undefined);
  const ground = named.filter((each) => isImplicit(each.name) && isPackage(each));
  const expansions = EXPANSION_WORDS.map((word) => ({ word, members: expansionIn(named, word) }));
  const others = namedAlone(ingredients).filter((each) => !ground.includes(each));
  const bottom = partOf("ground", packagesIn(ground));
  const above = [
    ...packagesIn(others).map((each) => partOf("package", [each])),
    ...expansions.flatMap(({ word, members }) =>
      members.length === 0 ? [] : [partOf(word, packagesIn(members))],
    ),
    ...(needed.length === 0 ? [] : [partOf("fhs", packagesIn(needed))]),
  ];
  const database = holdsNix(ingredients) ? [databaseOf([...above, bottom])] : [];
  const parts = [...above, ...database, bottom];
  // Two names may lead to one output: it is in the image once, at its first place.
  return [...new Map(parts.map((part) => [partName(part), part])).values()];
}

/** What is named and is no part of what front words stand for: what the user came for, if anything. */
export function namedAlone(ingredients: readonly Ingredient[]): readonly Ingredient[] {
  const named = ingredients.filter(({ neededBy }) => neededBy === undefined);
  const grouped = new Set(EXPANSION_WORDS.flatMap((word) => expansionIn(named, word)));
  return named.filter((each) => !grouped.has(each));
}

/** What the word stands for, or nothing where some of it is not there: part of a shell is no shell. */
function expansionIn(named: readonly Ingredient[], word: ExpansionWord): readonly Ingredient[] {
  const names: readonly string[] = EXPANSIONS[word];
  const members = named.filter((each) => names.includes(each.name) && isPackage(each));
  return members.length === names.length ? members : [];
}

function isPackage({ found }: Ingredient): boolean {
  return found.kind === "found";
}

/** Nix, and what stands in for it, say so by the program that they are for. */
const NIX = "nix";

/** Told without looking into closures, of which the edge knows nothing before it has the records. */
function holdsNix(ingredients: readonly Ingredient[]): boolean {
  return packagesIn(ingredients).some(
    ({ mainProgram, name }) => mainProgram === NIX || (mainProgram === null && name === NIX),
  );
}

/** The same however the outputs are shared among the other parts. */
function databaseOf(parts: readonly Part[]): Part {
  return { kind: "database", outputs: [...new Set(parts.flatMap((part) => part.outputs))].sort() };
}

export function packagesIn(ingredients: readonly Ingredient[]): readonly FoundPackage[] {
  return ingredients.flatMap(({ found }) => packagesOf(found));
}

function partOf(kind: PartKind, packages: readonly FoundPackage[]): Part {
  const outputs = packages.flatMap((each) => each.outputs.map(({ path }) => path));
  return { kind, outputs: [...new Set(outputs)] };
}

/** The outputs that an image has from the part: a database knows of them, and brings none. */
export function outputsBrought({ kind, outputs }: Part): readonly StorePath[] {
  return kind === "database" ? [] : outputs;
}

/** Who has an output in the part, in the order of the ingredients. */
export function ownersOf(
  { outputs }: Part,
  ingredients: readonly Ingredient[],
): readonly Ingredient[] {
  return ingredients.filter(({ found }) =>
    outputPathsOf(found).some((path) => outputs.includes(path)),
  );
}

/** The one output of an ordinary package, whose record is named after it; else undefined. */
export function loneOutput({ kind, outputs }: Part): StorePath | undefined {
  return kind === "package" && outputs.length === 1 ? outputs[0] : undefined;
}

/** Tells a part from every other; as long as its outputs are many. */
export function partName({ kind, outputs }: Part): string {
  return [...(kind === "package" ? [] : [kind]), ...outputs.map(storePathBase)].join(" ");
}
