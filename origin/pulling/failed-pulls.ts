// What pulls were told lately where there was no image, for whoever looks at its page: also what may go better
// by itself, which nothing else remembers. Forgotten with the next pull that has the image.

import type { RegistryError } from "../../registry/http/error.ts";
import { canonicalRecipe, type Recipe } from "../../registry/naming/recipe.ts";
import type { Tag } from "../../registry/naming/reference.ts";
import { recentValues } from "../memory/recent-values.ts";

export interface FailedPulls {
  /** Of an image for several platforms, for each of them. */
  note(recipes: readonly Recipe[], tag: Tag, error: RegistryError): void;
  forget(recipes: readonly Recipe[], tag: Tag): void;
  lookup(recipe: Recipe, tag: Tag): FailedPull | undefined;
}

export interface FailedPull {
  readonly error: RegistryError;
  readonly atMs: number;
}

/** Of up to 20 kB, with what is said of each package and of its log. */
const MAX_FAILED = 500;

export function createFailedPulls(now: () => number): FailedPulls {
  const recent = recentValues<FailedPull | null>(MAX_FAILED);
  const keyOf = (recipe: Recipe, tag: Tag) => `${tag} ${canonicalRecipe(recipe)}`;
  return {
    note(recipes, tag, error) {
      // That others were served says nothing of this image.
      if (error.code === "TOOMANYREQUESTS") return;
      for (const recipe of recipes) recent.store(keyOf(recipe, tag), { error, atMs: now() });
    },
    forget(recipes, tag) {
      for (const recipe of recipes) {
        const key = keyOf(recipe, tag);
        if (recent.lookup(key)) recent.store(key, null);
      }
    },
    lookup: (recipe, tag) => recent.lookup(keyOf(recipe, tag)) ?? undefined,
  };
}
