// What is asked for by its digest and not kept: composed again from the name it is asked under, of what
// is stored, at the pins that images were answered at, and taken only if it has that digest.

import type { ImageSource, PulledImage } from "../../registry/between/pulled-images.ts";
import type { CanonicalImage } from "../../registry/image/canonical.ts";
import { type ComposedIndex, composeIndex } from "../../registry/image/image-index.ts";
import { VARIANT_TYPES, VARIANTS, type Variant } from "../../registry/image/variant.ts";
import type { Digest } from "../../registry/naming/digest.ts";
import type { Pin } from "../../registry/naming/pin.ts";
import { canonicalRecipe, type Recipe } from "../../registry/naming/recipe.ts";
import { isUnsupported, omittedOf } from "../images/index-of-builds.ts";
import type { Composition } from "../images/kept-images.ts";
import type { KnownImages, KnownNames } from "../images/known-images.ts";
import type { AnsweredPins } from "../sources/answered-pins.ts";

export interface ComposedAgain {
  /** With nothing but what the digest takes: of an index its images, of an image itself. */
  manifest(name: AskedName, digest: Digest): Promise<FoundAgain | undefined>;
  config(name: AskedName, digest: Digest): Promise<Composition | undefined>;
  /** All that a name may stand for at the pins that are known, the newest first, in every form. */
  all(recipes: readonly Recipe[]): AsyncIterable<PossibleAt>;
}

/** What a name stands for at a pin: images for some platforms, and their index where there is one. */
export interface PossibleAt {
  readonly images: readonly PlatformImage[];
  readonly index: ComposedIndex | undefined;
  readonly pin: Pin;
}

export interface FoundAgain extends Composition {
  /** The name leads to something newer by now: whoever asks for this has written its digest down. */
  readonly isEarlier: boolean;
  /** What it was composed of, for whoever notes that it is pulled. */
  readonly pulled: readonly PulledImage[];
}

/** What a name may stand for. */
export interface AskedName {
  /** One for each platform. */
  readonly recipes: readonly Recipe[];
  /** The form that the client is given by tag. */
  readonly variant: Variant;
}

export interface ComposedAgainOptions {
  readonly known: KnownImages;
  readonly answered: Pick<AnsweredPins, "newest">;
}

/** Whose lookups are read at once. */
const PINS_AT_ONCE = 8;

export function createComposedAgain({ known, answered }: ComposedAgainOptions): ComposedAgain {
  /** Newest pin first; pins at which the names lead to the same are one. */
  async function* possibilities(
    recipes: readonly Recipe[],
    variants: readonly Variant[],
  ): AsyncGenerator<Possible> {
    const pins = answered.newest();
    const tried = new Set<string>();
    for (let start = 0; start < pins.length; start += PINS_AT_ONCE) {
      const slice = pins.slice(start, start + PINS_AT_ONCE);
      const namesAt = await Promise.all(
        slice.map((pin) => Promise.all(recipes.map((recipe) => known.names(recipe, pin)))),
      );
      for (const [place, names] of namesAt.entries()) {
        const what = JSON.stringify(names);
        if (tried.has(what)) continue;
        const isEarlier = tried.size > 0;
        tried.add(what);
        const pin = slice[place];
        if (pin === undefined) continue;
        for (const variant of variants) {
          yield { ...(await composeEach(recipes, names, pin, variant)), isEarlier, pin };
        }
      }
    }
  }

  async function composeEach(
    recipes: readonly Recipe[],
    names: readonly (KnownNames | undefined)[],
    pin: Pin,
    variant: Variant,
  ): Promise<Omit<Possible, "isEarlier" | "pin">> {
    const images = await Promise.all(
      names.map(async (each, place) => {
        const asked = recipes[place];
        if (each?.kind !== "found" || asked === undefined) return undefined;
        const image = await known.compose(each.image, variant);
        if (image === undefined) return undefined;
        const { packing } = image;
        const of = { recipe: canonicalRecipe(asked), tag: null, pin, packing };
        return { ...image, recipe: each.image.recipe, canonical: each.image, of };
      }),
    );
    const failed = recipes.flatMap((recipe, place) => {
      const each = names[place];
      return each?.kind === "failed" && isUnsupported(each.failure)
        ? [{ recipe, failure: each.failure }]
        : [];
    });
    const present = images.filter((image) => image !== undefined);
    const isWhole = present.length + failed.length === recipes.length;
    return { images: present, omitted: isWhole ? omittedOf(failed) : null, variant };
  }

  return {
    async manifest(name, digest) {
      const variants = [name.variant, ...VARIANTS.filter((each) => each !== name.variant)];
      for await (const possible of possibilities(name.recipes, variants)) {
        const { images, isEarlier } = possible;
        const image = images.find(({ manifest }) => manifest.digest === digest);
        if (image !== undefined) return foundAgain([image], image.manifest, isEarlier);
        const index = await indexOf(possible, name.recipes);
        if (index?.digest === digest) return foundAgain(images, index, isEarlier);
      }
      return undefined;
    },
    async config(name, digest) {
      // All variants of one form name one config, and mostly those of the other form too.
      const { form } = VARIANT_TYPES[name.variant];
      const other = VARIANTS.filter((each) => VARIANT_TYPES[each].form !== form).slice(0, 1);
      for await (const { images } of possibilities(name.recipes, [name.variant, ...other])) {
        const image = images.find(({ config }) => config.digest === digest);
        if (image !== undefined) return { images: [image], manifest: image.manifest };
      }
      return undefined;
    },
    async *all(recipes) {
      for await (const possible of possibilities(recipes, VARIANTS)) {
        const { images, pin } = possible;
        yield { images, index: await indexOf(possible, recipes), pin };
      }
    },
  };
}

async function indexOf(
  { images, omitted, variant }: Possible,
  recipes: readonly Recipe[],
): Promise<ComposedIndex | undefined> {
  if (recipes.length < 2 || omitted === null || images.length === 0) return undefined;
  return composeIndex(images, omitted, variant);
}

type Possible = {
  /** Of the platforms for which everything is known. */
  readonly images: readonly PlatformImage[];
  /** Null where nobody knows what the others are. */
  readonly omitted: ReturnType<typeof omittedOf> | null;
  readonly variant: Variant;
  /** Than what the name leads to at the newest pin that has it. */
  readonly isEarlier: boolean;
  readonly pin: Pin;
};

type PlatformImage = Composition["images"][number] & {
  readonly recipe: Recipe;
  readonly canonical: CanonicalImage;
  readonly of: ImageSource;
};

function foundAgain(
  images: readonly PlatformImage[],
  manifest: Composition["manifest"],
  isEarlier: boolean,
): FoundAgain {
  const pulled = images.map((image) => ({
    manifests: [...new Set([image.manifest.digest, manifest.digest])],
    of: image.of,
  }));
  return { images, manifest, isEarlier, pulled };
}
