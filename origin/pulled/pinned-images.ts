// The images that an operator has said to keep, whether anybody pulls them or not. The list lies in the
// storage, so that all origins of it and every collector go by the same.

import * as v from "valibot";
import { type PulledImage, pulledImageSchema } from "../../registry/between/pulled-images.ts";
import { recipesOf } from "../../registry/http/platforms.ts";
import { parseDigest } from "../../registry/naming/digest.ts";
import { ARCHITECTURES, canonicalRecipe, parseRepository } from "../../registry/naming/recipe.ts";
import { LATEST, parseTag } from "../../registry/naming/reference.ts";
import type { BlobStore } from "../storage/blob-store.ts";
import { storageKey } from "../storage/keys.ts";
import { parseStoredJson, storedJson } from "../storage/stored-json.ts";
import { pulledImageKey } from "./pulled-image.ts";

export interface PinnedImage {
  /** `shell/git:latest`, or with a digest behind an @: as `imageName` has it. */
  readonly image: string;
  /** What is known of it: as it was when it was pulled last. Notes of pulls do not live as long. */
  readonly known: readonly PulledImage[];
}

/** Each is one image of one platform in one form. */
const MAX_KNOWN = 64;

const storedSchema = v.object({ image: v.string(), known: v.array(pulledImageSchema) });

/** How an image is called in the list; undefined for what is no image. */
export function imageName(text: string): string | undefined {
  const [, repository = "", tag = null, digest = null] =
    /^([^:@]+)(?::([^:@]+))?(?:@(.+))?$/.exec(text) ?? [];
  if (parseRepository(repository).kind !== "recipe") return undefined;
  if (digest !== null) return tag === null && parseDigest(digest) ? text : undefined;
  return parseTag(tag ?? LATEST) && `${repository}:${tag ?? LATEST}`;
}

export async function pinnedImages(
  store: Pick<BlobStore, "list" | "lookup">,
): Promise<readonly PinnedImage[]> {
  const pinned: PinnedImage[] = [];
  for await (const { key } of store.list("pinned/")) {
    const bytes = await store.lookup(key);
    const parsed = v.safeParse(storedSchema, bytes && parseStoredJson(bytes));
    if (parsed.success) pinned.push(parsed.output);
  }
  return pinned;
}

export async function pinImage(store: Pick<BlobStore, "create">, image: string): Promise<boolean> {
  return await store.create(storageKey.pinned(image), storedJson({ image, known: [] }));
}

export async function unpinImage(store: Pick<BlobStore, "remove">, image: string): Promise<void> {
  await store.remove(storageKey.pinned(image));
}

/** With what was pulled since, the newest first: at that its tag is kept, and all that has its digest. */
export function knownOf(
  { image, known }: PinnedImage,
  newestFirst: readonly PulledImage[],
): readonly PulledImage[] {
  const isIt = matcherOf(image);
  const pulled = newestFirst.filter(isIt);
  const pin = pulled[0]?.of?.pin;
  const latest = image.includes("@") ? pulled : pulled.filter(({ of }) => of?.pin === pin);
  const all = latest.length > 0 && !image.includes("@") ? latest : [...latest, ...known];
  return [...new Map(all.map((each) => [pulledImageKey(each), each])).values()].slice(0, MAX_KNOWN);
}

export async function rememberKnown(
  store: Pick<BlobStore, "store">,
  pinned: PinnedImage,
  known: readonly PulledImage[],
): Promise<void> {
  if (JSON.stringify(known) === JSON.stringify(pinned.known)) return;
  await store.store(storageKey.pinned(pinned.image), storedJson({ image: pinned.image, known }));
}

function matcherOf(image: string): (pulled: PulledImage) => boolean {
  const [name = "", digest] = image.split("@");
  if (digest !== undefined) {
    return ({ manifests }) => manifests.some((each) => each === digest);
  }
  const [repository = "", tag] = name.split(":");
  const parsed = parseRepository(repository);
  const recipes = new Set(
    parsed.kind === "recipe" ? recipesOf(parsed.recipe, ARCHITECTURES).map(canonicalRecipe) : [],
  );
  return ({ of }) => of !== null && of.tag === tag && recipes.has(of.recipe);
}
