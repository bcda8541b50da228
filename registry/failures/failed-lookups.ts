// Which names of a recipe lead to nothing, as far as looking them up tells.

import { isFound, type Lookup } from "../image/lookup.ts";
import { isSpared, type PackageName, type Recipe } from "../naming/recipe.ts";
import { type FailedPackage, failedPackage } from "./failed-packages.ts";

export function failedLookups(
  recipe: Recipe,
  found: readonly { readonly name: PackageName; readonly lookup: Lookup }[],
): readonly FailedPackage[] {
  // Of an image of nothing else they are missed.
  const isOther = found.some(({ name, lookup }) => !isSpared(name, lookup));
  return found.flatMap(({ name, lookup }) =>
    isFound(lookup) || (isOther && isSpared(name, lookup))
      ? []
      : [failedPackage(recipe, name, lookup)],
  );
}
