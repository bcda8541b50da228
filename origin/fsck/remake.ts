// Makes stored values again under their own keys: layers of what they were made of, records of the parts of
// known images, configs and manifests by composing those. Nothing is stored that was not wanted.

import type { CanonicalImage } from "../../registry/image/canonical.ts";
import {
  composeIndex,
  type OmittedPlatform,
  type PlatformImage,
} from "../../registry/image/image-index.ts";
import { partsOf } from "../../registry/image/part.ts";
import {
  FORMS,
  type Form,
  type PackageRecord,
  popularityBlob,
} from "../../registry/image/record.ts";
import { VARIANT_TYPES, VARIANTS, type Variant } from "../../registry/image/variant.ts";
import { ARCHITECTURES, canonicalNames, platformName } from "../../registry/naming/recipe.ts";
import { composeImage } from "../images/compose-image.ts";
import type { Records } from "../images/records.ts";
import { NO_POPULARITY, type Popularity, parsePopularity } from "../layers/popularity.ts";
import type { BlobStore } from "../storage/blob-store.ts";
import { parseStorageKey, type StorageKey, storageKey } from "../storage/keys.ts";
import { readStoredText } from "../storage/stored-json.ts";
import { ALWAYS } from "../waiting/demand.ts";
import type { Wanted } from "./repair.ts";
import { knownNames, knownRecipes } from "./told-images.ts";
import type { Workshop } from "./workshop.ts";

export interface RemakeOptions {
  readonly store: BlobStore;
  readonly workshop: Workshop;
  readonly wanted: Wanted;
  readonly signal: AbortSignal;
}

/** What is wanted and not made yet. */
type Open = Set<StorageKey>;

export async function remake(options: RemakeOptions): Promise<void> {
  const { store, workshop, wanted, signal } = options;
  const open: Open = new Set(wanted.values);
  for (const key of open) {
    signal.throwIfAborted();
    const of = parseStorageKey(key);
    if (of?.collection !== "layers") continue;
    if (await workshop.remakeLayer(of.digest)) open.delete(key);
  }
  if (open.size === 0) return;
  const popularities = await popularitiesOf(store);
  for (const { id, text } of popularities) {
    const key = text === null ? undefined : [...open].find((each) => each === `layers/${id}`);
    if (key !== undefined && text !== null) await keep(store, open, key, Buffer.from(text));
  }
  if (open.size === 0) return;
  const composed: ComposedImages = new Map();
  await remakeImages(options, popularities, open, composed);
  for (const omitted of [[], ...wanted.damaged.flatMap(omittedIn)]) {
    for (const [variant, images] of composed.values()) {
      // An operator's order of platforms, which may be either.
      for (const order of [images, images.toReversed()]) {
        const { digest, bytes } = await composeIndex(order, omitted, variant);
        const key = storageKey.manifest(digest);
        if (open.has(key)) await keep(store, open, key, bytes);
      }
    }
  }
}

async function remakeImages(
  { store, workshop, wanted, signal }: RemakeOptions,
  popularities: readonly Popularity[],
  open: Open,
  composed: ComposedImages,
): Promise<void> {
  const recipes = await knownRecipes(store, wanted.damaged);
  const names = await knownNames(store);
  for (const popularity of popularities) {
    const records = workshop.recordsCutBy(popularity);
    for (const known of names) {
      const images = recipes
        .filter(({ architecture }) => architecture === known.architecture)
        .flatMap((recipe) => known.image(recipe) ?? []);
      for (const form of FORMS) {
        for (const image of [...images, ...known.alone()]) {
          signal.throwIfAborted();
          if (open.size === 0) return;
          await remakeImage(image, { store, records, form, open, composed, pin: known.pin });
        }
      }
    }
  }
}

/** What an index that is no longer whole says of platforms that it lacks. */
function omittedIn(damaged: Uint8Array): readonly (readonly OmittedPlatform[])[] {
  const text = Buffer.from(damaged).toString("latin1");
  const omitted = ARCHITECTURES.flatMap((architecture) => {
    const name = platformName(architecture).replace("/", "\\.");
    const [, reason] = new RegExp(`"nixport\\.omitted\\.${name}":"([^"]*)"`).exec(text) ?? [];
    return reason === undefined ? [] : [{ architecture, reason }];
  });
  return omitted.length === 0 ? [] : [omitted];
}

/** By what an index of them would have in common. */
type ComposedImages = Map<string, readonly [Variant, readonly PlatformImage[]]>;

interface Bench {
  readonly store: BlobStore;
  readonly records: Records;
  readonly form: Form;
  readonly open: Open;
  readonly composed: ComposedImages;
  readonly pin: string;
}

/** Only of records that are there or wanted: an image of others was never asked for in this form. */
async function remakeImage(image: CanonicalImage, bench: Bench): Promise<void> {
  const { store, records, form, open } = bench;
  const parts = partsOf(image.ingredients).map((part) => {
    const key = storageKey.record(records.packings[form], part);
    return { key, isWanted: open.has(key) };
  });
  const isThere = async (key: StorageKey) => (await store.sizeBytes(key)) !== undefined;
  const known = await Promise.all(parts.map(async (part) => part.isWanted || isThere(part.key)));
  const wantsImages = [...open].some((key) => /^(?:layers|manifests)\//.test(key));
  if (known.includes(false) || !(wantsImages || parts.some(({ isWanted }) => isWanted))) return;
  const made = await records.make(image.ingredients, form, ALWAYS);
  for (const record of made.records) open.delete(storageKey.record(record.packing, record));
  if (made.failures.length > 0 || !wantsImages) return;
  for (const variant of VARIANTS.filter((each) => VARIANT_TYPES[each].form === form)) {
    await composeWanted(image, made.records, variant, bench);
  }
}

async function composeWanted(
  { recipe, ingredients }: CanonicalImage,
  records: readonly PackageRecord[],
  variant: Variant,
  { store, records: of, open, composed: all, pin }: Bench,
): Promise<void> {
  const composed = await composeImage({ recipe, ingredients, records, variant }, (cut) =>
    of.coarsen(cut),
  );
  if (composed.kind !== "composed") return;
  const { config, manifest } = composed.image;
  const inCommon = `${pin} ${variant} ${canonicalNames(recipe)}`;
  const [, images = []] = all.get(inCommon) ?? [];
  const others = images.filter((each) => each.recipe.architecture !== recipe.architecture);
  all.set(inCommon, [variant, [...others, { recipe, manifest }]]);
  const keys = {
    config: storageKey.layer(config.digest),
    manifest: storageKey.manifest(manifest.digest),
  };
  if (!open.has(keys.config) && !open.has(keys.manifest)) return;
  await keep(store, open, keys.config, config.bytes);
  await keep(store, open, keys.manifest, manifest.bytes);
}

async function keep(
  store: BlobStore,
  open: Open,
  key: StorageKey,
  bytes: Uint8Array,
): Promise<void> {
  await store.create(key, bytes);
  open.delete(key);
}

/** All data by which layers may be cut, with none at all among them. */
async function popularitiesOf(store: BlobStore): Promise<readonly Popularity[]> {
  const known = new Map<string, Popularity>([[NO_POPULARITY.id, NO_POPULARITY]]);
  const add = (text: string | undefined) => {
    if (text === undefined) return;
    const parsed = parsePopularity(text);
    if (parsed.kind === "popularity") known.set(parsed.popularity.id, parsed.popularity);
  };
  const seen = new Set<string>();
  for await (const { key } of store.list("records/")) {
    const of = parseStorageKey(key);
    if (of?.collection !== "records" || seen.has(of.packing)) continue;
    seen.add(of.packing);
    const blob = popularityBlob(of.packing);
    const bytes = blob === null ? undefined : await store.lookup(storageKey.layer(blob));
    add(bytes && Buffer.from(bytes).toString());
  }
  for await (const { key } of store.list("popularity/")) {
    const bytes = await store.lookup(key);
    add(bytes && readStoredText(bytes));
  }
  return [...known.values()];
}
