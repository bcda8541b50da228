// Composes an image, or an index of one for several platforms, from what is already known: a tag's
// pins, lookups and records, all of them read from KV. Records are accepted only when their layers are
// in R2, so what is composed here never names a missing layer.

import * as v from "valibot";
import { type ResolvedPin, type TagPins, tagPinsSchema } from "../../registry/between/tag-pins.ts";
import { type CanonicalImage, canonicalImageOf } from "../../registry/image/canonical.ts";
import { COMPOSE_VERSION, type ComposedImage, compose } from "../../registry/image/compose.ts";
import { composeIndex } from "../../registry/image/image-index.ts";
import { type Found, parseFound } from "../../registry/image/lookup.ts";
import { OCTET_STREAM } from "../../registry/image/media-type.ts";
import { partsOf } from "../../registry/image/part.ts";
import {
  type PackageRecord,
  type PackingId,
  parsePackageRecord,
} from "../../registry/image/record.ts";
import { VARIANT_TYPES, type Variant } from "../../registry/image/variant.ts";
import { digestHex } from "../../registry/naming/digest.ts";
import { configIdOf, configuredPin, type Pin, parsePin } from "../../registry/naming/pin.ts";
import { namesOf, type Recipe, systemOf } from "../../registry/naming/recipe.ts";
import type { Tag } from "../../registry/naming/reference.ts";
import type { Manifest } from "../isolate/manifest.ts";
import type { Edge } from "../request/edge.ts";
import { kvKey, r2Key } from "../storage/keys.ts";
import { storeManifest } from "../storage/manifests.ts";
import { attempt } from "../storage/tiers.ts";

export interface KnownImage {
  readonly manifest: Manifest;
  readonly resolved: ResolvedPin;
  readonly packing: PackingId;
  /** Whether the tag is known to have moved on from this pin. */
  readonly isNewest: boolean;
}

/** KV's limit on one bulk read. */
const MAX_KEYS_PER_READ = 100;

interface PlatformComposed extends ComposedImage {
  readonly recipe: Recipe;
}

interface Candidate {
  readonly resolved: ResolvedPin;
  readonly isNewest: boolean;
  readonly packing: PackingId;
}

/** What composing an image takes. */
interface Gathered extends CanonicalImage {
  readonly records: readonly PackageRecord[];
}

/**
 * An image of one recipe, an index of several that differ in platform. Stored before it is returned:
 * configs, manifests, then the index. Undefined unless everything is known: which platforms a package
 * does not support, only the origin says.
 */
export async function composeKnown(
  edge: Edge,
  recipes: readonly Recipe[],
  tag: Tag,
  variant: Variant,
): Promise<KnownImage | undefined> {
  for (const { resolved, isNewest, packing } of await candidates(edge, tag, variant)) {
    const gathered = await Promise.all(
      recipes.map((recipe) => gather(edge, recipe, resolved, packing)),
    );
    const known = gathered.filter((each) => each !== undefined);
    if (known.length < recipes.length) continue;
    const images: PlatformComposed[] = [];
    for (const { recipe, ingredients, records } of known) {
      const composed = await edge.trace.time("compose", () =>
        compose(recipe, ingredients, records, variant),
      );
      if (composed.kind !== "image") return undefined;
      images.push({ recipe, ...composed.image });
    }
    // Not stored is not known: the config would be missing when the client asks for it.
    const manifest = await attempt(edge, "r2", () => store(edge, images, variant));
    return manifest && { manifest, resolved, packing, isNewest };
  }
  return undefined;
}

/**
 * The newest pin first, since users want that; older ones still hold most combinations when a
 * channel has just moved. How layers are packed now is the origin's, not the tag's: what came last
 * is tried before what came with this tag.
 */
async function candidates(edge: Edge, tag: Tag, variant: Variant): Promise<readonly Candidate[]> {
  const keys = [kvKey.latestPins, kvKey.tagPins(tag)];
  const known = await attempt(edge, "kv", () => edge.kv.get(keys, "json"));
  const [latest, own] = keys.map((key) => parseTagPins(known?.get(key)));
  // Composers of two versions give one image two digests: what the origin has now counts.
  const composer = (latest ?? own)?.composeVersion;
  if (composer !== COMPOSE_VERSION) return [];
  const revision = parsePin(tag);
  const configId = latest?.pins[0] === undefined ? "" : configIdOf(latest.pins[0].pin);
  const commit = revision && configuredPin(revision, configId);
  // A tag that is a pin needs no resolving; the time says that anything else is newer.
  const pins = commit === undefined ? (own?.pins ?? []) : [{ pin: commit, resolvedAtMs: 0 }];

  const { form } = VARIANT_TYPES[variant];
  const usable = [latest, own].filter((each) => each?.composeVersion === COMPOSE_VERSION);
  const packings = new Set(usable.flatMap((each) => each?.packings[form] ?? []));
  return [...packings].flatMap((packing) =>
    pins.map((resolved, index) => ({ resolved, isNewest: index === 0, packing })),
  );
}

function parseTagPins(json: unknown): TagPins | undefined {
  const parsed = v.safeParse(tagPinsSchema, json);
  return parsed.success ? parsed.output : undefined;
}

/** Whether each of the names is a package on one of the platforms, at a pin that the tag has. */
export async function areNamesKnown(
  edge: Edge,
  recipes: readonly Recipe[],
  tag: Tag,
): Promise<boolean> {
  const json = await attempt(edge, "kv", () => edge.kv.get(kvKey.tagPins(tag), "json"));
  for (const { pin } of parseTagPins(json)?.pins ?? []) {
    const found = await Promise.all(recipes.map((recipe) => readLookups(edge, recipe, pin)));
    if (found.some((each) => each !== undefined)) return true;
  }
  return false;
}

/** Everything an image of the recipe is composed of, or undefined as soon as anything is unknown. */
async function gather(
  edge: Edge,
  recipe: Recipe,
  { pin }: ResolvedPin,
  packing: PackingId,
): Promise<Gathered | undefined> {
  const found = await readLookups(edge, recipe, pin);
  if (found === undefined) return undefined;
  const asked = namesOf(recipe).flatMap((name, index) => {
    const lookup = found[index];
    return lookup === undefined ? [] : [{ name, found: lookup }];
  });
  const image = canonicalImageOf(recipe, asked);
  const keys = partsOf(image.ingredients).map((part) => kvKey.record(part, packing));
  const records = await readAll<PackageRecord>(edge, await Promise.all(keys), parsePackageRecord);
  return records && { ...image, records };
}

function readLookups(edge: Edge, recipe: Recipe, pin: Pin) {
  const system = systemOf(recipe.architecture);
  const keys = namesOf(recipe).map((name) => kvKey.lookup(pin, system, name));
  return readAll<Found>(edge, keys, parseFound);
}

/** The values of all keys in their order; undefined if one is absent or not what it should be. */
async function readAll<Value>(
  edge: Edge,
  keys: readonly string[],
  parse: (json: unknown) => Value | undefined,
): Promise<readonly Value[] | undefined> {
  const slices = Array.from({ length: Math.ceil(keys.length / MAX_KEYS_PER_READ) }, (_, index) =>
    keys.slice(index * MAX_KEYS_PER_READ, (index + 1) * MAX_KEYS_PER_READ),
  );
  const maps = await attempt(edge, "kv", () =>
    Promise.all(slices.map((slice) => edge.kv.get<unknown>(slice, "json"))),
  );
  if (maps === undefined) return undefined;
  const json = new Map(maps.flatMap((map) => [...map]));
  const values: Value[] = [];
  for (const key of keys) {
    const value = parse(json.get(key));
    if (value === undefined) return undefined;
    values.push(value);
  }
  return values;
}

async function store(
  edge: Edge,
  images: readonly PlatformComposed[],
  variant: Variant,
): Promise<Manifest | undefined> {
  await Promise.all(images.map((image) => storeImage(edge, image)));
  if (images.length === 1) return images[0]?.manifest;
  const index = await composeIndex(images, [], variant);
  await storeManifest(edge, index);
  return index;
}

async function storeImage(edge: Edge, { config, manifest }: ComposedImage): Promise<void> {
  await edge.r2.put(r2Key.blob(config.digest), config.bytes, {
    sha256: digestHex(config.digest),
    httpMetadata: { contentType: OCTET_STREAM },
  });
  await storeManifest(edge, manifest);
}
