// What is asked for by its digest and not kept: composed again from the name it is asked under, at the
// pins that are known, and taken only if it has that digest. A manifest or an index, or a config, which
// a client asks for with each pull.

import type { CanonicalImage } from "../../registry/image/canonical.ts";
import { COMPOSE_VERSION } from "../../registry/image/compose.ts";
import type { PackingId } from "../../registry/image/record.ts";
import { VARIANT_TYPES, VARIANTS, type Variant } from "../../registry/image/variant.ts";
import type { Digest } from "../../registry/naming/digest.ts";
import type { Pin } from "../../registry/naming/pin.ts";
import type { Recipe } from "../../registry/naming/recipe.ts";
import type { Edge } from "../request/edge.ts";
import {
  type Composition,
  composeEach,
  compositionOf,
  type PlatformImage,
  packed,
} from "./known-image.ts";
import { knownNames, knownPins, knownRecords } from "./known-parts.ts";

/** Of MAX_LATEST_PINS: looked at before all the others, since they are nearly always enough. */
const NEWEST_PINS = 4;

/** What a name may stand for. */
export interface AskedName {
  /** One for each platform. */
  readonly recipes: readonly Recipe[];
  /** The form that the client is given by tag. */
  readonly variant: Variant;
}

export interface ComposedAgain extends Composition {
  /** The name leads to something newer by now: whoever asks for this has written its digest down. */
  readonly isEarlier: boolean;
  readonly pin: Pin;
  readonly packing: PackingId;
}

/**
 * One after another, the likeliest first: undefined where the name's image has another digest there. With
 * nothing but what the digest takes: of an index its images, of an image itself.
 */
export async function* manifestTries(
  edge: Edge,
  name: AskedName,
  digest: Digest,
): AsyncGenerator<ComposedAgain | undefined> {
  const variants = [name.variant, ...VARIANTS.filter((each) => each !== name.variant)];
  for await (const possible of possibilities(edge, name.recipes, variants)) {
    yield manifestOf(possible, name, digest);
  }
}

async function manifestOf(
  { images, variant, ...of }: Possible,
  { recipes }: AskedName,
  digest: Digest,
): Promise<ComposedAgain | undefined> {
  const image = images.find(({ manifest }) => manifest.digest === digest);
  if (image !== undefined) return { ...(await compositionOf([image], variant)), ...of };
  if (images.length < 2 || images.length < recipes.length) return undefined;
  const index = await compositionOf(images, variant);
  return index.manifest.digest === digest ? { ...index, ...of } : undefined;
}

export async function composeConfig(
  edge: Edge,
  { recipes, variant }: AskedName,
  digest: Digest,
): Promise<Composition | undefined> {
  // All variants of one form name one config, and mostly those of the other form too.
  const { form } = VARIANT_TYPES[variant];
  const other = VARIANTS.find((each) => VARIANT_TYPES[each].form !== form);
  const variants = other === undefined ? [variant] : [variant, other];
  for await (const possible of possibilities(edge, recipes, variants)) {
    const image = possible.images.find(({ config }) => config.digest === digest);
    if (image !== undefined) return compositionOf([image], possible.variant);
  }
  return undefined;
}

/** What a name stands for at a pin, in one form. */
export interface Possible {
  /** What its names lead to, for each platform for which all are known. */
  readonly named: readonly CanonicalImage[];
  /** Of the platforms for which everything is known. */
  readonly images: readonly PlatformImage[];
  readonly variant: Variant;
  /** Than what the name leads to at the newest pin that has it. */
  readonly isEarlier: boolean;
  readonly pin: Pin;
  readonly packing: PackingId;
}

/** Newest pin first; pins at which the names lead to the same are one. */
export async function* possibilities(
  edge: Edge,
  recipes: readonly Recipe[],
  variants: readonly Variant[],
): AsyncGenerator<Possible> {
  const { latest } = await knownPins(edge, null);
  if (latest?.composeVersion !== COMPOSE_VERSION) return;
  const { packings } = latest;
  const pins = latest.pins.map(({ pin }) => pin);
  const tried = new Set<string>();
  for (const some of [pins.slice(0, NEWEST_PINS), pins.slice(NEWEST_PINS)]) {
    const all = await knownNames(edge, recipes, some);
    const wanted = new Set(variants.map((variant) => packings[VARIANT_TYPES[variant].form]));
    await knownRecords(
      edge,
      [...wanted].flatMap((packing) => all.flatMap((named) => packed(named, packing))),
    );
    for (const [place, named] of all.entries()) {
      const pin = some[place];
      const what = JSON.stringify(named);
      if (pin === undefined || tried.has(what) || named.every((image) => image === undefined))
        continue;
      const isEarlier = tried.size > 0;
      tried.add(what);
      for (const variant of variants) {
        const packing = packings[VARIANT_TYPES[variant].form];
        const images = await composeEach(edge, named, packing, variant);
        const composed = images.filter((image) => image !== undefined);
        const whole = named.filter((image) => image !== undefined);
        yield { named: whole, images: composed, variant, isEarlier, pin, packing };
      }
    }
  }
}
