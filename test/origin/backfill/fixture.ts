// An origin's storage with images in it, ready to be given to an edge.

import { assert } from "vitest";
import type { AnsweredImage } from "../../../origin/backfill/entry.ts";
import type { PinnedTag } from "../../../origin/sources/pins.ts";
import type { BlobStore } from "../../../origin/storage/blob-store.ts";
import { openFilesystemStore } from "../../../origin/storage/filesystem.ts";
import { storageKey } from "../../../origin/storage/keys.ts";
import type { TagPins } from "../../../registry/between/tag-pins.ts";
import { composeIndex, omit } from "../../../registry/image/image-index.ts";
import type { Ingredient } from "../../../registry/image/part.ts";
import { type PackageRecord, recordLayers } from "../../../registry/image/record.ts";
import { VARIANT_TYPES, type Variant } from "../../../registry/image/variant.ts";
import { digestHex, digestOf } from "../../../registry/naming/digest.ts";
import { systemOf } from "../../../registry/naming/recipe.ts";
import { bytesOf } from "../../contract/blob-store.ts";
import {
  defined,
  layerContents,
  packingIdOf,
  pinOf,
  recipeOf,
  tagOf,
} from "../../registry/fixture.ts";
import { composed, ingredientsOf, recordsOf } from "../../registry/pantry.ts";
import { type Ending, temporaryDirectory } from "../fixture.ts";

const POPULARITY_BYTES = bytesOf("popularity data");
/** What the packings name. */
export const POPULARITY = { digest: await digestOf(POPULARITY_BYTES), bytes: POPULARITY_BYTES };
export const PACKINGS: TagPins["packings"] = {
  zstd: packingIdOf(`zstd-1.${digestHex(POPULARITY.digest)}`),
  gzip: packingIdOf(`gzip-1.${digestHex(POPULARITY.digest)}`),
};

export const SECRET_KEYS = [{ id: "1", bytes: bytesOf("a secret of the tests") }];
export const NOW_MS = Date.UTC(2026, 0, 1);
export const FIRST_COMMIT = "1".repeat(40);
export const SECOND_COMMIT = "2".repeat(40);

export interface Storage {
  readonly root: string;
  readonly store: BlobStore;
}

export async function openStorage(onEnd: Ending): Promise<Storage> {
  const root = await temporaryDirectory(onEnd);
  return { root, store: await openFilesystemStore(root) };
}

export interface ImageOptions {
  readonly variant?: Variant;
  readonly commit?: string;
  readonly resolvedAtMs?: number;
  readonly isKept?: boolean;
  readonly ingredients?: readonly Ingredient[];
  readonly records?: readonly PackageRecord[];
}

/** Stores an image as the origin does before it answers, and returns what it answered. */
export async function stockImage(
  store: BlobStore,
  repository: string,
  {
    variant = "oci-gzip",
    commit = FIRST_COMMIT,
    resolvedAtMs = NOW_MS,
    isKept = true,
    ...rest
  }: ImageOptions = {},
): Promise<AnsweredImage> {
  const { form } = VARIANT_TYPES[variant];
  const { ingredients = ingredientsOf(repository) } = rest;
  const recipe = recipeOf(repository);
  const pin = pinOf(commit);
  const packing = PACKINGS[form];
  const unnamed = rest.records ?? recordsOf(ingredients, form);
  const records = unnamed.map((record) => ({ ...record, packing }));
  for (const { digest } of records.flatMap(recordLayers)) {
    const content = defined(layerContents.get(digest), digest);
    await store.store(storageKey.layer(digest), bytesOf(content));
  }
  await store.store(storageKey.layer(POPULARITY.digest), POPULARITY.bytes);
  for (const record of records) {
    await store.store(storageKey.record(packing, record), json(record));
  }
  for (const { name, found } of ingredients) {
    await store.store(storageKey.lookup(pin, systemOf(recipe.architecture), name), json(found));
  }
  const image = await composed(repository, variant, ingredients, records);
  if (isKept) {
    await store.store(storageKey.layer(image.config.digest), image.config.bytes);
    await store.store(storageKey.manifest(image.manifest.digest), image.manifest.bytes);
  }
  const pinned: PinnedTag = {
    ...{ kind: "pinned", pin, resolvedAtMs, immutable: false },
    source: { kind: "git", url: "/nowhere", commit },
  };
  return {
    ...{ variant, tag: tagOf("latest"), isKept },
    answered: {
      ...{ kind: "image", recipe, manifest: image.manifest, pinned, packing },
      ...{ movedTo: null, omitted: [] },
      built: {
        ...{ kind: "built", image, recipe, ingredients, packing, pinned, movedTo: null },
        storedNames: ingredients.map(({ name }) => name),
        isRemembered: false,
      },
    },
  };
}

/** An index of an image for amd64 and one for arm64, with everything stored as the origin stores it. */
export async function stockIndex(store: BlobStore, name: string): Promise<AnsweredImage> {
  const images = [];
  for (const platform of ["amd64", "arm64"]) {
    const { answered } = await stockImage(store, `${platform}/${name}`);
    assert(answered.kind === "image");
    images.push(answered);
  }
  const [first] = images;
  assert(first !== undefined);
  const omitted = [omit("arm64", "as a test says")];
  const manifest = await composeIndex(images, omitted, "oci-gzip");
  await store.store(storageKey.manifest(manifest.digest), manifest.bytes);
  const recipes = images.map(({ recipe }) => recipe);
  const { pinned, packing } = first;
  return {
    ...{ variant: "oci-gzip", tag: tagOf("latest"), isKept: true },
    answered: {
      ...{ kind: "index", recipes, images, manifest, pinned, packing },
      ...{ movedTo: null, omitted },
    },
  };
}

function json(value: unknown): Uint8Array {
  return bytesOf(JSON.stringify(value));
}
