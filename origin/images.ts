// Repository and tag to image: pin, lookups, records, compose, and what must be stored before the
// answer. Everything slow is remembered or joined below; what is done here is done per request.

import type { ComposedImage, Ingredient } from "../registry/compose.ts";
import type { Packing } from "../registry/pin.ts";
import { type Recipe, systemOf } from "../registry/recipe.ts";
import type { Form } from "../registry/record.ts";
import type { Tag } from "../registry/reference.ts";
import { VARIANT_TYPES, type Variant } from "../registry/variant.ts";
import { composeImage } from "./compose-image.ts";
import type { BuildFailure, FailedPackage } from "./failures.ts";
import { type Lookups, storeLookup } from "./lookups.ts";
import type { RecordFailure, Records } from "./records.ts";
import type { PinnedTag, Pins } from "./sources/pins.ts";
import type { BlobStore } from "./storage/blob-store.ts";
import { type StorageKey, storageKey } from "./storage/keys.ts";

export interface BuiltImage {
  readonly kind: "built";
  readonly image: ComposedImage;
  readonly pinned: PinnedTag;
  readonly ingredients: readonly Ingredient[];
  readonly packing: Packing;
}

export type ImageResult = BuiltImage | BuildFailure;

export interface Images {
  build(recipe: Recipe, tag: Tag, variant: Variant): Promise<ImageResult>;
}

export interface ImagesOptions {
  readonly pins: Pins;
  readonly lookups: Lookups;
  readonly records: Records;
  readonly store: BlobStore;
}

type Gathered =
  | { readonly kind: "gathered"; readonly ingredients: readonly Ingredient[] }
  | RecordFailure
  | BuildFailure;

function settled(failure: RecordFailure | BuildFailure): BuildFailure {
  return failure.kind === "derivation-gone"
    ? { kind: "unreachable", message: "a garbage collection is removing store paths" }
    : failure;
}

export function createImages({ pins, lookups, records, store }: ImagesOptions): Images {
  return {
    async build(recipe, tag, variant) {
      const pinned = await pins.resolve(tag);
      if (pinned.kind !== "pinned") return pinned;
      const { form } = VARIANT_TYPES[variant];
      let gathered = await gather(recipe, pinned, form);
      if (gathered.kind === "derivation-gone") {
        // Evaluating writes the derivations again; gone a second time means a collector at work.
        await lookups.evaluate(pinned, systemOf(recipe.architecture), recipe.packages);
        gathered = await gather(recipe, pinned, form);
      }
      if (gathered.kind !== "gathered") return settled(gathered);

      const packing = records.packings[form];
      const composed = await composeImage(
        { recipe, ingredients: gathered.ingredients, packing, variant },
        (cut) => records.coarsen(cut),
      );
      if (composed.kind !== "composed") return settled(composed);
      const { image, ingredients } = composed;
      await storeImage(image);
      return { kind: "built", image, pinned, ingredients, packing };
    },
  };

  async function gather(recipe: Recipe, pinned: PinnedTag, form: Form): Promise<Gathered> {
    const system = systemOf(recipe.architecture);
    const found = await lookups.find(pinned, system, recipe.packages);
    const failed: FailedPackage[] = [];
    for (const { name, lookup } of found) {
      if (lookup.kind === "timed-out" || lookup.kind === "cancelled") return lookup;
      if (lookup.kind !== "found") failed.push({ name, failure: lookup });
    }
    if (failed.length > 0) return { kind: "packages-failed", packages: failed };

    const packages = found.flatMap(({ name, lookup }) =>
      lookup.kind === "found" ? [{ name, found: lookup }] : [],
    );
    const results = await records.make(
      packages.map((each) => each.found),
      form,
    );
    const ingredients: Ingredient[] = [];
    for (const [index, { name, found: lookup }] of packages.entries()) {
      const result = results[index];
      if (result === undefined) throw new Error(`no records of ${name}`);
      if (result.kind !== "records") return result;
      ingredients.push({ name, found: lookup, records: result.records });
    }
    await Promise.all(
      ingredients.map(({ name, found: each }) => storeLookup(store, pinned, system, name, each)),
    );
    return { kind: "gathered", ingredients };
  }

  /** The config first: a stored manifest never names a missing blob. */
  async function storeImage({ config, manifest }: ComposedImage): Promise<void> {
    await storeOnce(storageKey.layer(config.digest), config.bytes);
    await storeOnce(storageKey.manifest(manifest.digest), manifest.bytes);
  }

  /** Each looked for by itself: an operator may have cleared the blobs and left the manifests. */
  async function storeOnce(key: StorageKey, bytes: Uint8Array): Promise<void> {
    if ((await store.sizeBytes(key)) === undefined) await store.store(key, bytes);
  }
}
