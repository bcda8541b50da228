// Which images a storage tells of: recipes by what configs say of themselves, by what was pulled lately and by
// what waits for the edge; and what the names of a recipe were found to be, at each pin.

import {
  type CanonicalImage,
  canonicalImageOf,
  canonicalName,
} from "../../registry/image/canonical.ts";
import { type Found, parseFound } from "../../registry/image/lookup.ts";
import type { Ingredient } from "../../registry/image/part.ts";
import {
  ARCHITECTURES,
  canonicalRecipe,
  isImplicit,
  namesOf,
  type PackageName,
  parseCanonicalRecipe,
  type Recipe,
  systemOf,
} from "../../registry/naming/recipe.ts";
import { parseOutboxEntry } from "../backfill/entry.ts";
import { parseTracked } from "../refresh/tracked.ts";
import type { BlobStore } from "../storage/blob-store.ts";
import { parseStorageKey } from "../storage/keys.ts";
import { parseStoredJson } from "../storage/stored-json.ts";

/** Larger ones are no configs, whose texts have limits. */
const MAX_CONFIG_BYTES = 512 * 1024;
const RECIPE_LABEL = /"nixport\.recipe":"([^"\\]{1,4096})"/;

type Store = Pick<BlobStore, "list" | "lookup">;

/** Also of what bytes say that were a config once. */
export async function knownRecipes(
  store: Store,
  damaged: Iterable<Uint8Array>,
): Promise<readonly Recipe[]> {
  const spellings = new Set<string>();
  const read = (bytes: Uint8Array) => {
    const [, spelling] = RECIPE_LABEL.exec(Buffer.from(bytes).toString("latin1")) ?? [];
    if (spelling !== undefined) spellings.add(spelling);
  };
  for (const bytes of damaged) if (bytes.length <= MAX_CONFIG_BYTES) read(bytes);
  for await (const { key, sizeBytes } of store.list("layers/")) {
    const bytes = sizeBytes <= MAX_CONFIG_BYTES ? await store.lookup(key) : undefined;
    if (bytes?.[0] === "{".charCodeAt(0)) read(bytes);
  }
  for await (const { key } of store.list("outbox/")) {
    const entry = parseOutboxEntry((await store.lookup(key)) ?? new Uint8Array());
    if (entry === undefined || "packageIndex" in entry) continue;
    const entries = "index" in entry ? entry.images : [entry];
    for (const { recipe } of entries) spellings.add(recipe);
  }
  const recipes = [...spellings].flatMap((spelling) => parseCanonicalRecipe(spelling) ?? []);
  for await (const { key } of store.list("tracked/")) {
    const images = parseTracked((await store.lookup(key)) ?? new Uint8Array());
    recipes.push(...images.map(({ recipe }) => recipe));
  }
  return [...new Map(recipes.map((recipe) => [canonicalRecipe(recipe), recipe])).values()];
}

/** What one pin says of names for one platform. */
export interface KnownNames {
  /** The image of a recipe; undefined where not all of its names are known. */
  image(recipe: Recipe): CanonicalImage | undefined;
  /** An image for each name, with what every image holds. */
  alone(): readonly CanonicalImage[];
  readonly architecture: Recipe["architecture"];
  readonly pin: string;
}

export async function knownNames(store: Store): Promise<readonly KnownNames[]> {
  const places = new Map<string, { pin: string; system: string; found: Map<PackageName, Found> }>();
  for await (const { key } of store.list("lookups/")) {
    const of = parseStorageKey(key);
    if (of?.collection !== "lookups") continue;
    const bytes = await store.lookup(key);
    const found = bytes && parseFound(parseStoredJson(bytes));
    if (found === undefined) continue;
    const { pin, system, name } = of;
    const place = places.get(`${pin} ${system}`) ?? { pin, system, found: new Map() };
    place.found.set(name, found);
    // By the name that recipes of images have it under, unless that says something else itself.
    if (!place.found.has(canonicalName(found))) place.found.set(canonicalName(found), found);
    places.set(`${pin} ${system}`, place);
  }
  return [...places.values()].flatMap(({ pin, system, found }) => {
    const architecture = ARCHITECTURES.find((each) => systemOf(each) === system);
    return architecture === undefined
      ? []
      : [{ pin, architecture, ...namesIn(found, architecture) }];
  });
}

function namesIn(
  found: ReadonlyMap<PackageName, Found>,
  architecture: Recipe["architecture"],
): Pick<KnownNames, "image" | "alone"> {
  const ingredients = (names: readonly PackageName[]): readonly Ingredient[] =>
    names.flatMap((name) => {
      const each = found.get(name);
      return each === undefined ? [] : [{ name, found: each }];
    });
  return {
    image(recipe) {
      const names = namesOf(recipe);
      const asked = ingredients(names);
      const isComplete = names.every((name) => found.has(name) || isImplicit(name));
      return isComplete ? canonicalImageOf(recipe, asked) : undefined;
    },
    alone() {
      const ground = [...found.keys()].filter(isImplicit);
      return [...found.keys()].map((name) => {
        const packages = [...new Set([name, ...ground])];
        return canonicalImageOf({ architecture, words: [], packages }, ingredients(packages));
      });
    },
  };
}
