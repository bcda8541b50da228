// That an image cannot be had, by the package index alone: what the origin would say, word for word, where
// every name of it is known for every platform that is wanted.

import { failedLookups } from "../../registry/failures/failed-lookups.ts";
import { type FailedPackage, packagesError } from "../../registry/failures/failed-packages.ts";
import { areUnsupported, platformsError } from "../../registry/failures/failed-platforms.ts";
import { RegistryError } from "../../registry/http/error.ts";
import type { WantedImage } from "../../registry/http/platforms.ts";
import type { Lookup } from "../../registry/image/lookup.ts";
import type { Pin } from "../../registry/naming/pin.ts";
import type { Recipe } from "../../registry/naming/recipe.ts";
import type { Edge } from "../request/edge.ts";
import { type KnownNames, knownLookups, lookupsOf, type NamedLookup } from "./known-lookups.ts";
import { nearLookup } from "./near.ts";

/** Of a name that has more which are absent, these are told what may have been meant. */
const MAX_RANKED_NAMES = 3;

/** Of a platform that is wanted, each. */
export type AbsentImage = readonly FailedRecipe[];

interface FailedRecipe {
  readonly known: KnownNames;
  readonly lookups: readonly NamedLookup[];
  readonly packages: readonly FailedPackage[];
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
    const lookups = lookupsOf(names);
    if (lookups === undefined) return undefined;
    const packages = failedLookups(names.recipe, lookups);
    if (packages.length === 0) return undefined;
    failed.push({ known: names, lookups, packages });
  }
  return failed.length === 0 ? undefined : failed;
}

/** One image, an index of several platforms, the first of them that can be had; or the tags of a name. */
export type Wanted = WantedImage["kind"] | "tags";

/**
 * What a client is told: of an index why those fail that are not just without the package, else why all do; of
 * the first that can be had, what failed on the way.
 */
export async function absentError(
  edge: Edge,
  failed: AbsentImage,
  { wanted, withNear }: { readonly wanted: Wanted; readonly withNear: boolean },
): Promise<RegistryError> {
  const ranked = withNear ? await namesToRank(edge, failed) : new Set<string>();
  const told: { readonly recipe: Recipe; readonly packages: readonly FailedPackage[] }[] = [];
  for (const each of failed) {
    const { recipe } = each.known;
    told.push({ recipe, packages: failedLookups(recipe, await withNearNames(edge, each, ranked)) });
  }
  const errors = shownOf(told, wanted).map(({ recipe: { architecture }, packages }) => ({
    architecture,
    error: packagesError(packages),
  }));
  return platformsError(errors, wanted === "tags" ? 1 : failed.length);
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
async function namesToRank(edge: Edge, failed: AbsentImage): Promise<ReadonlySet<string>> {
  const names = failed.flatMap(({ packages }) =>
    packages.flatMap(({ name, failure, neededBy }) =>
      "near" in failure && neededBy === undefined ? [name] : [],
    ),
  );
  if (names.length === 0 || !(await isAdmitted(edge))) return new Set();
  return new Set([...new Set(names)].slice(0, MAX_RANKED_NAMES));
}

async function withNearNames(
  edge: Edge,
  { known: { root, names }, lookups }: FailedRecipe,
  ranked: ReadonlySet<string>,
): Promise<readonly NamedLookup[]> {
  const near = new Map<string, Lookup>();
  for (const { name, known } of names) {
    if (known === undefined || known.kind === "known" || root === undefined) continue;
    if (ranked.has(name)) near.set(name, await nearLookup(edge, root, known));
  }
  return lookups.map(({ name, lookup }) => ({ name, lookup: near.get(name) ?? lookup }));
}
