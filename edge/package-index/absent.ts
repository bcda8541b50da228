// That an image cannot be had, by the package index alone: what the origin would say, word for word, where
// every name of it is known for every platform that is wanted.

import { failedLookups } from "../../registry/failures/failed-lookups.ts";
import { type FailedPackage, packagesError } from "../../registry/failures/failed-packages.ts";
import { areUnsupported, platformsError } from "../../registry/failures/failed-platforms.ts";
import { RegistryError } from "../../registry/http/error.ts";
import type { WantedImage } from "../../registry/http/platforms.ts";
import type { Lookup } from "../../registry/image/lookup.ts";
import type { Pin } from "../../registry/naming/pin.ts";
import type { PackageName, Recipe } from "../../registry/naming/recipe.ts";
import type { Edge } from "../request/edge.ts";
import { type KnownNames, knownLookups, lookupsOf } from "./known-lookups.ts";
import { nearLookup } from "./near.ts";

/** Of a name that has more which are absent, these are told what may have been meant. */
const MAX_RANKED_NAMES = 3;

export interface AbsentImage {
  /** One for each platform that is wanted. */
  readonly recipes: readonly Recipe[];
  readonly failed: readonly FailedRecipe[];
}

interface FailedRecipe {
  readonly recipe: Recipe;
  readonly names: KnownNames;
}

/** Undefined where it may be had for one of the platforms, or not all is known. */
export async function absentImage(
  edge: Edge,
  recipes: readonly Recipe[],
  pin: Pin,
): Promise<AbsentImage | undefined> {
  const [known = []] = await knownLookups(edge, recipes, [pin]);
  const failed: FailedRecipe[] = [];
  for (const names of known) {
    const { recipe } = names;
    const lookups = lookupsOf(names);
    const packages = lookups && failedLookups(recipe, lookups);
    if (packages === undefined || packages.length === 0) return undefined;
    failed.push({ recipe, names });
  }
  return failed.length === 0 ? undefined : { recipes, failed };
}

/** One image, an index of several platforms, the first of them that can be had; or the tags of a name. */
export type Wanted = WantedImage["kind"] | "tags";

/**
 * What a client is told: of an index why those fail that are not just without the package, else why all do; of
 * the first that can be had, what failed on the way.
 */
export async function absentError(
  edge: Edge,
  { recipes, failed }: AbsentImage,
  { wanted, withNear }: { readonly wanted: Wanted; readonly withNear: boolean },
): Promise<RegistryError> {
  const ranked = withNear && (await isAdmitted(edge)) ? namesToRank(failed) : new Set<string>();
  const told: { readonly recipe: Recipe; readonly packages: readonly FailedPackage[] }[] = [];
  for (const { recipe, names } of failed) {
    const lookups = await withNearNames(edge, names, ranked);
    told.push({ recipe, packages: failedLookups(recipe, lookups) });
  }
  const errors = shownOf(told, wanted).map(({ recipe: { architecture }, packages }) => ({
    architecture,
    error: packagesError(packages),
  }));
  return platformsError(errors, wanted === "tags" ? 1 : recipes.length);
}

function shownOf<Told extends { readonly packages: readonly FailedPackage[] }>(
  told: readonly Told[],
  wanted: Wanted,
): readonly Told[] {
  const lasting = told.filter(({ packages }) => !areUnsupported(packages));
  const [first] = lasting;
  if (wanted === "tags") return told.slice(0, 1);
  if (first === undefined) return told;
  return wanted === "index" ? lasting : told.slice(0, told.indexOf(first) + 1);
}

/** Ranking a hundred thousand names takes the processor as long as some hundred answers. */
async function isAdmitted(edge: Edge): Promise<boolean> {
  try {
    await edge.misses.admitPull();
    return true;
  } catch (error) {
    if (error instanceof RegistryError && error.code === "TOOMANYREQUESTS") return false;
    throw error;
  }
}

/** The same for each platform, or one reason would be told twice. */
function namesToRank(failed: readonly FailedRecipe[]): ReadonlySet<string> {
  const names = failed.flatMap(({ recipe, names: known }) =>
    failedLookups(recipe, lookupsOf(known) ?? []).flatMap(({ name, failure, neededBy }) =>
      "near" in failure && neededBy === undefined ? [name] : [],
    ),
  );
  return new Set([...new Set(names)].slice(0, MAX_RANKED_NAMES));
}

async function withNearNames(
  edge: Edge,
  known: KnownNames,
  ranked: ReadonlySet<string>,
): Promise<readonly { readonly name: PackageName; readonly lookup: Lookup }[]> {
  const near = new Map<string, Lookup>();
  for (const { name, known: what } of known.names) {
    if (what === undefined || what.kind === "known" || known.root === undefined) continue;
    if (ranked.has(name)) near.set(name, await nearLookup(edge, known.root, what));
  }
  return (lookupsOf(known) ?? []).map(({ name, lookup }) => ({
    name,
    lookup: near.get(name) ?? lookup,
  }));
}
