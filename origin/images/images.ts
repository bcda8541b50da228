// Recipe and pin to image: lookups, records, compose. Everything slow is remembered or joined below; what
// is done here is done per request. The image itself is stored only where it is kept (kept-images.ts).

import { failedLookups } from "../../registry/failures/failed-lookups.ts";
import { type FailedPackage, failedPackage } from "../../registry/failures/failed-packages.ts";
import {
  type CanonicalImage,
  canonicalImageOf,
  canonicalName,
  isDirectName,
} from "../../registry/image/canonical.ts";
import type { ComposedImage } from "../../registry/image/compose.ts";
import { isFound, type Lookup, outputPathsOf } from "../../registry/image/lookup.ts";
import { type Ingredient, outputsBrought, ownersOf } from "../../registry/image/part.ts";
import type { Form, PackageRecord, PackingId } from "../../registry/image/record.ts";
import { VARIANT_TYPES, type Variant } from "../../registry/image/variant.ts";
import {
  namesOf,
  type PackageName,
  type Recipe,
  type System,
  systemOf,
} from "../../registry/naming/recipe.ts";
import type { BuildFailure, PackageFailure } from "../failures/failures.ts";
import type { Log } from "../log/log.ts";
import type { RecentImages } from "../memory/recent-documents.ts";
import type { PinnedTag } from "../sources/pins.ts";
import type { BlobStore } from "../storage/blob-store.ts";
import type { Wait } from "../waiting/hold-request.ts";
import { composeImage } from "./compose-image.ts";
import { isStopped, type Lookups, type NamedLookup, storeLookup } from "./lookups.ts";
import type { Records } from "./records.ts";
import type { NamedFailure, RecordFailure } from "./wanted-parts.ts";

export interface BuiltImage {
  readonly kind: "built";
  readonly image: ComposedImage;
  readonly pinned: PinnedTag;
  /** Canonical, as the image says it of itself. */
  readonly recipe: Recipe;
  readonly ingredients: readonly Ingredient[];
  /** The names, of those asked, whose lookups are stored for good. */
  readonly storedNames: readonly PackageName[];
  readonly packing: PackingId;
  /** All that it was composed of was known before it was asked for. */
  readonly isRemembered: boolean;
}

export type ImageResult = BuiltImage | BuildFailure;

export interface Images {
  /** Rejects with the reason of the demand's signal when that is aborted. */
  build(recipe: Recipe, pinned: PinnedTag, variant: Variant, wait: Wait): Promise<ImageResult>;
}

export interface ImagesOptions {
  readonly lookups: Lookups;
  readonly records: Records;
  readonly store: BlobStore;
  /** Gets what was made, for who asks for it by digest next. */
  readonly recent: RecentImages;
  readonly log: Pick<Log, "warn">;
}

type Gathered =
  | (CanonicalImage & {
      readonly kind: "gathered";
      readonly asked: readonly Ingredient[];
      readonly storedNames: readonly PackageName[];
      readonly records: readonly PackageRecord[];
      readonly isRemembered: boolean;
    })
  | DerivationGone
  | BuildFailure;

type DerivationGone = Extract<RecordFailure, { kind: "derivation-gone" }>;

export function settled(failure: DerivationGone | BuildFailure): BuildFailure {
  return failure.kind === "derivation-gone"
    ? { kind: "unreachable", message: "a garbage collection is removing store paths" }
    : failure;
}

function isOfPackage<Failure extends RecordFailure>(
  failure: Failure,
): failure is Extract<Failure, PackageFailure> {
  const { kind } = failure;
  return kind === "build-failed" || kind === "build-timed-out" || kind === "unpackable";
}

/**
 * What keeps an image from being made, of all that happened to its packages. What has failed for
 * good is told before what may go better, except that derivations that are gone are tried again.
 */
export function failureOf(
  recipe: Recipe,
  failures: readonly NamedFailure[],
): DerivationGone | BuildFailure | undefined {
  const packages: FailedPackage[] = [];
  let stopped: BuildFailure | undefined;
  // One output of a derivation may be in several parts.
  const distinct = new Map(failures.map((each) => [JSON.stringify(each), each]));
  for (const { name, failure } of distinct.values()) {
    if (failure.kind === "derivation-gone") return failure;
    if (isOfPackage(failure)) packages.push(failedPackage(recipe, name, failure));
    else if (failure.kind === "timed-out") stopped ??= { ...failure, what: "build" };
    else stopped ??= failure;
  }
  return packages.length > 0 ? { kind: "packages-failed", packages } : stopped;
}

/** Why there is no image of these names, as far as looking them up tells. */
export function lookupFailure(
  recipe: Recipe,
  found: readonly NamedLookup[],
): BuildFailure | undefined {
  const known: { readonly name: PackageName; readonly lookup: Lookup }[] = [];
  for (const { name, lookup } of found) {
    if (isStopped(lookup)) {
      return lookup.kind === "timed-out" ? { ...lookup, what: "evaluation" } : lookup;
    }
    known.push({ name, lookup });
  }
  const packages = failedLookups(recipe, known);
  return packages.length > 0 ? { kind: "packages-failed", packages } : undefined;
}

/** The same of the names that were asked, by which the client knows them. */
export function askedFor(
  { name, failure }: NamedFailure,
  asked: readonly Ingredient[],
): readonly NamedFailure[] {
  return asked
    .filter(({ found }) => canonicalName(found) === name)
    .map((each) => ({ name: each.name, failure }));
}

/** Each takes as long as looking the names up. */
const MAX_REEVALUATIONS = 4;

export function createImages(options: ImagesOptions): Images {
  const { lookups, records, store, recent, log } = options;
  return {
    async build(recipe, pinned, variant, wait) {
      const { form } = VARIANT_TYPES[variant];
      let gathered = await gather(recipe, pinned, form, wait);
      // Evaluating writes the derivations again, which nothing holds until they are realised: a collector
      // that runs just then may take them once more, and one that is started all the time often does.
      for (
        let tries = 0;
        gathered.kind === "derivation-gone" && tries < MAX_REEVALUATIONS;
        tries++
      ) {
        const system = systemOf(recipe.architecture);
        await lookups.evaluate(pinned, system, namesOf(recipe), wait.demand);
        gathered = await gather(recipe, pinned, form, wait);
      }
      if (gathered.kind !== "gathered") return settled(gathered);

      const { ingredients, asked, storedNames, records: known, isRemembered } = gathered;
      const composed = await composeImage(
        { recipe: gathered.recipe, ingredients, records: known, variant },
        (cut) => records.coarsen(cut),
      );
      if (composed.kind === "not-joined") {
        const { record, failure } = composed;
        const failures = ownersOf(record, asked).map(({ name }) => ({ name, failure }));
        return settled(failureOf(recipe, failures) ?? { kind: "cancelled" });
      }
      if (composed.kind !== "composed") return composed;
      const { image } = composed;
      recent.configs.store(image.config);
      recent.manifests.store(image.manifest);
      const packing = records.packings[form];
      const made = { image, pinned, recipe: gathered.recipe, ingredients, storedNames };
      return { kind: "built", ...made, packing, isRemembered };
    },
  };

  async function gather(
    recipe: Recipe,
    pinned: PinnedTag,
    form: Form,
    { demand, onStage }: Wait,
  ): Promise<Gathered> {
    const system = systemOf(recipe.architecture);
    onStage(() => lookups.stage(pinned));
    const found = await lookups.find(pinned, system, namesOf(recipe), demand);
    const unknown = lookupFailure(recipe, found);
    if (unknown !== undefined) return unknown;

    const asked = found.flatMap(({ name, lookup }) =>
      isFound(lookup) ? [{ name, found: lookup }] : [],
    );
    const image = canonicalImageOf(recipe, asked);
    onStage(() => records.stage(image.ingredients, form));
    const made = await records.make(image.ingredients, form, demand);
    const held = new Set(made.records.flatMap(outputsBrought));
    // Of the names that lead there by a detour there is no end: what is remembered of them is bounded.
    const complete = asked.filter(
      ({ name, found: each }) =>
        isDirectName(name, each) && outputPathsOf(each).every((path) => held.has(path)),
    );
    const storedNames = await storeLookups(complete, pinned, system);
    const { records: own, failures } = made;
    const isRemembered = made.isRemembered && found.every((each) => each.isRemembered);
    return (
      failureOf(
        recipe,
        failures.flatMap((each) => askedFor(each, asked)),
      ) ?? {
        kind: "gathered",
        ...{ ...image, asked, storedNames, records: own, isRemembered },
      }
    );
  }

  /** The names of those that are on disk now: a full one keeps no image from being answered. */
  async function storeLookups(
    complete: readonly Ingredient[],
    pinned: PinnedTag,
    system: System,
  ): Promise<readonly PackageName[]> {
    const stored = complete.map(async ({ name, found }) => {
      try {
        await storeLookup(store, pinned, system, name, found);
        return [name];
      } catch (error) {
        log.warn({ err: error, name }, "a lookup is not on disk");
        return [];
      }
    });
    return (await Promise.all(stored)).flat();
  }
}
