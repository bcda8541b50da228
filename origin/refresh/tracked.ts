// Which images were pulled in the last days: what is worth making again when their tag moves. One
// small file, written now and then, because a lost note costs no more than the wait of one pull.
//
// A pull that the edge answers is not seen here. But behind an answer older than its
// PIN_FRESH_SECONDS the edge asks the origin, so an image in use at an edge is seen about that often,
// and one the edge composed by itself once its pointer is that old. What nobody pulls is forgotten.

import * as v from "valibot";
import { isYounger } from "../../registry/between/age.ts";
import { packageNameSchema, tagSchema } from "../../registry/between/backfill.ts";
import { VARIANTS, type Variant } from "../../registry/image/variant.ts";
import { RECIPE_WORDS } from "../../registry/naming/front-words.ts";
import { type Pin, pinSchema } from "../../registry/naming/pin.ts";
import {
  ARCHITECTURES,
  type Architecture,
  canonicalRecipe,
  type Recipe,
} from "../../registry/naming/recipe.ts";
import type { Tag } from "../../registry/naming/reference.ts";
import type { Log } from "../log/log.ts";
import type { BlobStore } from "../storage/blob-store.ts";
import { storageKey } from "../storage/keys.ts";
import { parseStoredJson, storedJson } from "../storage/stored-json.ts";

export interface NamedImage {
  readonly recipe: Recipe;
  readonly tag: Tag;
  readonly variant: Variant;
}

export interface TrackedImage extends NamedImage {
  /** At which it was last made. */
  readonly pin: Pin;
  /** Whether one that is newer is to be kept too. */
  readonly isKept: boolean;
  /** Of the index that it was last pulled in, if any: this one's and the others, in the index's order. */
  readonly platforms: readonly Architecture[] | null;
  /** To within an hour. */
  readonly pulledAtMs: number;
}

export interface Tracked {
  /** A user was given the image, made at a pin. */
  pulled(
    image: NamedImage,
    pin: Pin,
    isKept: boolean,
    platforms?: readonly Architecture[] | null,
  ): void;
  /** The image was made at a pin without anyone asking. */
  made(image: NamedImage, pin: Pin): void;
  /** Those of a tag, the last pulled first. */
  of(tag: Tag): readonly TrackedImage[];
  /** Of which images are tracked. */
  tags(): readonly Tag[];
  /** Writes what is not written yet. */
  close(): Promise<void>;
}

export interface TrackedOptions {
  readonly store: BlobStore;
  /** Notes of one package source are nothing to another. */
  readonly sourceId: string;
  /** For how long after its last pull an image is tracked; 0: never. */
  readonly keepMs: number;
  readonly now: () => number;
  readonly log: Log;
}

const MAX_IMAGES = 1000;
const RENEW_AFTER_MS = 3_600_000;
const WRITE_AFTER_MS = 60_000;

const storedSchema = v.array(
  v.object({
    recipe: v.object({
      architecture: v.picklist(ARCHITECTURES),
      words: v.optional(v.array(v.picklist(RECIPE_WORDS)), []),
      packages: v.array(packageNameSchema),
    }),
    tag: tagSchema,
    variant: v.picklist(VARIANTS),
    pin: pinSchema,
    // Of an earlier version, which kept all.
    isKept: v.optional(v.boolean(), true),
    platforms: v.optional(v.nullable(v.array(v.picklist(ARCHITECTURES))), null),
    pulledAtMs: v.number(),
  }),
);

/** Of a stored list; none of what is none. */
export function parseTracked(bytes: Uint8Array): readonly TrackedImage[] {
  const parsed = v.safeParse(storedSchema, parseStoredJson(bytes));
  return parsed.success ? parsed.output : [];
}

export function imageKey({ recipe, tag, variant }: NamedImage): string {
  return `${tag} ${variant} ${canonicalRecipe(recipe)}`;
}

export async function openTracked(options: TrackedOptions): Promise<Tracked> {
  const { store, keepMs, now, log } = options;
  const key = storageKey.tracked(options.sourceId);
  // In the order of their last pulls, so that the first is the one to forget.
  const images = await load();
  let timer: NodeJS.Timeout | undefined;
  let writing = Promise.resolve();

  async function load(): Promise<Map<string, TrackedImage>> {
    const bytes = keepMs === 0 ? undefined : await store.lookup(key);
    const known = bytes === undefined ? [] : parseTracked(bytes).slice(-MAX_IMAGES);
    return new Map(known.map((image) => [imageKey(image), image]));
  }

  function isCurrent(image: TrackedImage): boolean {
    return now() - image.pulledAtMs < keepMs;
  }

  function write(): void {
    clearTimeout(timer);
    timer = undefined;
    const bytes = storedJson([...images.values()].filter(isCurrent));
    writing = writing
      .then(() => store.remember(key, bytes))
      .catch((error) => log.warn({ err: error }, "the tracked images could not be written"));
  }

  function writeLater(): void {
    timer ??= setTimeout(write, WRITE_AFTER_MS).unref();
  }

  return {
    pulled({ recipe, tag, variant }, pin, isKeptNow, platformsNow = null) {
      if (keepMs === 0) return;
      const name = imageKey({ recipe, tag, variant });
      const known = images.get(name);
      const isKept = isKeptNow || (known?.isKept ?? false);
      const platforms = platformsNow ?? known?.platforms ?? null;
      const isFresh =
        known?.pin === pin &&
        known.isKept === isKept &&
        known.platforms?.join() === platforms?.join() &&
        isYounger(known.pulledAtMs, now(), RENEW_AFTER_MS);
      images.delete(name);
      const noted = { recipe, tag, variant, pin, isKept, platforms, pulledAtMs: now() };
      images.set(name, isFresh ? known : noted);
      const [oldest] = images.keys();
      if (images.size > MAX_IMAGES && oldest !== undefined) images.delete(oldest);
      if (!isFresh) writeLater();
    },
    made(image, pin) {
      const known = images.get(imageKey(image));
      if (known === undefined || known.pin === pin) return;
      images.set(imageKey(image), { ...known, pin });
      writeLater();
    },
    of(tag) {
      return [...images.values()]
        .filter((image) => image.tag === tag && isCurrent(image))
        .toReversed();
    },
    tags: () => [...new Set([...images.values()].filter(isCurrent).map(({ tag }) => tag))],
    async close() {
      if (timer !== undefined) write();
      await writing;
    },
  };
}
