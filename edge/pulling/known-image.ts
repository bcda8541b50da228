// Composes an image, or an index of one for several platforms, of what is already known. Nothing is
// written: what was composed once can be composed again.

import type { ResolvedPin } from "../../registry/between/tag-pins.ts";
import type { CanonicalImage } from "../../registry/image/canonical.ts";
import { COMPOSE_VERSION, type ComposedImage, compose } from "../../registry/image/compose.ts";
import { composeIndex } from "../../registry/image/image-index.ts";
import type { Form, PackingId } from "../../registry/image/record.ts";
import { VARIANT_TYPES, type Variant } from "../../registry/image/variant.ts";
import { configIdOf, configuredPin, parsePin } from "../../registry/naming/pin.ts";
import type { Recipe } from "../../registry/naming/recipe.ts";
import type { Tag } from "../../registry/naming/reference.ts";
import type { Manifest } from "../isolate/manifest.ts";
import type { Edge } from "../request/edge.ts";
import {
  type KnownPins,
  knownNames,
  knownPins,
  knownRecords,
  type PackedImage,
} from "./known-parts.ts";

export interface PlatformImage extends ComposedImage {
  readonly recipe: Recipe;
}

/** An image, or an index and the images it names. */
export interface Composition {
  readonly images: readonly PlatformImage[];
  readonly manifest: Manifest;
}

export interface KnownImage extends Composition {
  readonly resolved: ResolvedPin;
  readonly packing: PackingId;
  /** Whether the tag is known to have moved on from this pin. */
  readonly isNewest: boolean;
}

interface Candidate {
  readonly resolved: ResolvedPin;
  readonly isNewest: boolean;
  readonly packing: PackingId;
}

/**
 * An image of one recipe, an index of several that differ in platform. Undefined unless everything is
 * known: which platforms a package does not support, only the origin says.
 */
export async function composeKnown(
  edge: Edge,
  recipes: readonly Recipe[],
  tag: Tag,
  variant: Variant,
): Promise<KnownImage | undefined> {
  const [newest, ...others] = await candidates(edge, tag, variant);
  if (newest === undefined) return undefined;
  // Nearly always the first has it; what all the others take is read together.
  for (const some of [[newest], others]) {
    const named = await knownNames(
      edge,
      recipes,
      some.map(({ resolved }) => resolved.pin),
    );
    await knownRecords(
      edge,
      some.flatMap(({ packing }, index) => packed(named[index] ?? [], packing)),
    );
    for (const [index, candidate] of some.entries()) {
      const images = await composeEach(edge, named[index] ?? [], candidate.packing, variant);
      const composed = images.filter((image) => image !== undefined);
      if (composed.length === recipes.length) {
        return { ...(await compositionOf(composed, variant)), ...candidate };
      }
    }
  }
  return undefined;
}

/** What of it is known by name. */
export function packed(
  named: readonly (CanonicalImage | undefined)[],
  packing: PackingId,
): readonly PackedImage[] {
  return named.flatMap((image) => (image === undefined ? [] : [{ image, packing }]));
}

/** One for each of what is named, undefined where that is unknown or the origin must join layers first. */
export async function composeEach(
  edge: Edge,
  named: readonly (CanonicalImage | undefined)[],
  packing: PackingId,
  variant: Variant,
): Promise<readonly (PlatformImage | undefined)[]> {
  const known = packed(named, packing);
  const records = await knownRecords(edge, known);
  const recordsOf = new Map(known.map(({ image }, index) => [image, records[index]]));
  return edge.trace.time("compose", () =>
    Promise.all(
      named.map(async (image) => {
        const records = image && recordsOf.get(image);
        if (image === undefined || records === undefined) return undefined;
        const { recipe, ingredients } = image;
        const composed = await compose(recipe, ingredients, records, variant);
        return composed.kind === "image" ? { recipe, ...composed.image } : undefined;
      }),
    ),
  );
}

/** Of at least one image; of several their index. */
export async function compositionOf(
  images: readonly PlatformImage[],
  variant: Variant,
): Promise<Composition> {
  const [first] = images;
  if (first !== undefined && images.length === 1) return { images, manifest: first.manifest };
  return { images, manifest: await composeIndex(images, [], variant) };
}

/**
 * The newest pin first, since users want that; older ones still hold most combinations when a
 * channel has just moved. How layers are packed now is the origin's, not the tag's: what came last
 * is tried before what came with this tag.
 */
async function candidates(edge: Edge, tag: Tag, variant: Variant): Promise<readonly Candidate[]> {
  const { latest, own } = await knownPins(edge, tag);
  const pins = pinsOf({ latest, own }, tag);
  const packings = packingsOf({ latest, own }, VARIANT_TYPES[variant].form);
  return packings.flatMap((packing) =>
    pins.map((resolved, index) => ({ resolved, isNewest: index === 0, packing })),
  );
}

/**
 * In which images may be composed here. Composers of two versions give one image two digests: what the origin
 * has now counts.
 */
export function packingsOf({ latest, own }: KnownPins, form: Form): readonly PackingId[] {
  if ((latest ?? own)?.composeVersion !== COMPOSE_VERSION) return [];
  const usable = [latest, own].filter((each) => each?.composeVersion === COMPOSE_VERSION);
  return [...new Set(usable.flatMap((each) => each?.packings[form] ?? []))];
}

/** At which a tag may be answered here, the newest first. */
export function pinsOf({ latest, own }: KnownPins, tag: Tag): readonly ResolvedPin[] {
  const revision = parsePin(tag);
  const configId = latest?.pins[0] === undefined ? "" : configIdOf(latest.pins[0].pin);
  const commit = revision && configuredPin(revision, configId);
  // A tag that is a pin needs no resolving; the time says that anything else is newer.
  return commit === undefined ? (own?.pins ?? []) : [{ pin: commit, resolvedAtMs: 0 }];
}
