// Whether an image that is asked for is on an operator's list, so that it is kept from its first pull on. The
// list is read at a start, and behind requests when it was read a minute ago: a person has changed it.

import { isYounger } from "../../registry/between/age.ts";
import { canonicalImage, recipesOf } from "../../registry/http/platforms.ts";
import { ARCHITECTURES, parseRepository, type Recipe } from "../../registry/naming/recipe.ts";
import type { Log } from "../log/log.ts";
import type { BlobStore } from "../storage/blob-store.ts";
import { pinnedImages } from "./pinned-images.ts";

/** `what`: a digest; or tag, variant and image, as `canonicalImage` has it, with spaces between them. */
export type IsListed = (what: string) => boolean;

export interface ListedImagesOptions {
  readonly store: Pick<BlobStore, "list" | "lookup">;
  readonly now: () => number;
  readonly log: Pick<Log, "warn">;
}

const READ_AFTER_MS = 60_000;

export async function openListedImages(options: ListedImagesOptions): Promise<IsListed> {
  const { store, now, log } = options;
  let listed = new Set<string>();
  let readAtMs = now();

  async function read(): Promise<void> {
    readAtMs = now();
    try {
      listed = new Set((await pinnedImages(store)).flatMap(({ image }) => namesOf(image)));
    } catch (error) {
      log.warn({ err: error }, "the list of images to keep could not be read");
    }
  }

  await read();
  return (what) => {
    if (!isYounger(readAtMs, now(), READ_AFTER_MS)) void read();
    const [tag = "", , image] = what.split(" ");
    return listed.has(image === undefined ? what : `${tag} ${image}`);
  };
}

/** Of a tag the image of each platform, and the indexes of all. */
function namesOf(pinned: string): readonly string[] {
  const [name = "", digest] = pinned.split("@");
  if (digest !== undefined) return [digest];
  const [repository = "", tag = ""] = name.split(":");
  const parsed = parseRepository(repository);
  if (parsed.kind !== "recipe") return [];
  const recipes = recipesOf(parsed.recipe, ARCHITECTURES);
  const orders: readonly (readonly Recipe[])[] =
    recipes.length > 1 ? [recipes, recipes.toReversed()] : [];
  return [
    ...recipes.map((recipe) => canonicalImage({ kind: "image", recipe })),
    ...orders.map((order) => canonicalImage({ kind: "index", recipes: order })),
  ].map((image) => `${tag} ${image}`);
}
