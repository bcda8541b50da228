// Which outputs of an image share one record: those of one package, those that `shell` stands for,
// and those that every image holds. Decided by recipe and lookups alone, so that edge and origin ask
// for the same records.

import { isImplicit, type PackageName, SHELL_PACKAGES } from "../naming/recipe.ts";
import { type StorePath, storePathBase } from "../naming/store-path.ts";
import { type Found, type FoundPackage, outputPathsOf, packagesOf } from "./lookup.ts";

/** A name of a recipe, as it was asked or the canonical one, and what it was found to be. */
export interface Ingredient {
  readonly name: PackageName;
  readonly found: Found;
}

/**
 * One package; what `shell` stands for; or the bottom of an image, which is what every image holds, with
 * the files that no package brings, such as `/etc/passwd`.
 */
export const PART_KINDS = ["package", "shell", "ground"] as const;
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
 * The parts of an image, the first on top. What is named lies above what `shell` brings, so that it
 * wins where both offer a file, and that above what every image holds; of what is named, the first of
 * the recipe wins.
 */
export function partsOf(ingredients: readonly Ingredient[]): readonly Part[] {
  const isPackage = ({ found }: Ingredient) => found.kind === "found";
  const ground = ingredients.filter((each) => isImplicit(each.name) && isPackage(each));
  const shell = ingredients.filter(
    (each) => SHELL_PACKAGES.some((name) => name === each.name) && isPackage(each),
  );
  const isWhole = shell.length === SHELL_PACKAGES.length;
  const named = ingredients.filter(
    (each) => !ground.includes(each) && !(isWhole && shell.includes(each)),
  );
  const parts = [
    ...packagesIn(named).map((each) => partOf("package", [each])),
    ...(isWhole ? [partOf("shell", packagesIn(shell))] : []),
    partOf("ground", packagesIn(ground)),
  ];
  // Two names may lead to one output: it is in the image once, at its first place.
  return [...new Map(parts.map((part) => [partName(part), part])).values()];
}

export function packagesIn(ingredients: readonly Ingredient[]): readonly FoundPackage[] {
  return ingredients.flatMap(({ found }) => packagesOf(found));
}

function partOf(kind: PartKind, packages: readonly FoundPackage[]): Part {
  const outputs = packages.flatMap((each) => each.outputs.map(({ path }) => path));
  return { kind, outputs: [...new Set(outputs)] };
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
