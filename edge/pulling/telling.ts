// The origin hears, behind answers, of the pulls that it has no part in: a collector goes by what was pulled.

import type { PulledImage } from "../../registry/between/pulled-images.ts";
import type { PackingId } from "../../registry/image/record.ts";
import type { Digest } from "../../registry/naming/digest.ts";
import type { Pin } from "../../registry/naming/pin.ts";
import { canonicalRecipe, type Recipe } from "../../registry/naming/recipe.ts";
import type { Tag } from "../../registry/naming/reference.ts";
import type { AnsweredPull } from "../isolate/pulls-to-tell.ts";
import type { Edge } from "../request/edge.ts";
import { type ImageName, imageKey } from "../storage/keys.ts";

/** Of what is kept: an image, or an index of what several recipes lead to. */
export interface AnsweredTag {
  readonly recipes: readonly Recipe[];
  /** What was answered first, then the index that it is of. */
  readonly manifests: readonly [Digest, ...Digest[]];
  readonly pin: Pin;
  /** Unknown of what an earlier version has kept. */
  readonly packing: PackingId | undefined;
}

export function tellTag(edge: Edge, name: ImageName, answered: AnsweredTag): void {
  const { recipes, manifests, pin, packing } = answered;
  const images = () =>
    packing === undefined
      ? [{ manifests, of: null }]
      : recipes.map((recipe) => ({
          manifests,
          of: sourceOf(recipe, { tag: name.tag, pin, packing }),
        }));
  tell(edge, { digest: manifests[0], of: imageKey(name), images });
}

export interface ComposedPull {
  /** As they were asked for, one for each platform. */
  readonly recipes: readonly Recipe[];
  readonly images: readonly {
    readonly recipe: Recipe;
    readonly manifest: { readonly digest: Digest };
  }[];
  readonly manifest: { readonly digest: Digest };
  readonly pin: Pin;
  readonly packing: PackingId;
}

/** `name`: null where it was asked for by its digest. */
export function tellComposed(edge: Edge, name: ImageName | null, composed: ComposedPull): void {
  const { recipes, manifest, pin, packing } = composed;
  const tag = name?.tag ?? null;
  // What was composed has the names that packages are called by; lookups are stored by those that were asked.
  const asked = (of: Recipe) =>
    recipes.find(({ architecture }) => architecture === of.architecture) ?? of;
  const images = () =>
    composed.images.map((image) => ({
      manifests: [...new Set([image.manifest.digest, manifest.digest])],
      of: sourceOf(asked(image.recipe), { tag, pin, packing }),
    }));
  tell(edge, { digest: manifest.digest, of: name && imageKey(name), images });
}

export function tellDigest(edge: Edge, digest: Digest): void {
  tell(edge, { digest, of: null, images: () => [{ manifests: [digest], of: null }] });
}

function sourceOf(
  recipe: Recipe,
  at: { readonly tag: Tag | null; readonly pin: Pin; readonly packing: PackingId },
): PulledImage["of"] {
  return { recipe: canonicalRecipe(recipe), ...at };
}

function tell(edge: Edge, pull: AnsweredPull): void {
  const due = edge.pulls?.note(pull, edge.now()) ?? [];
  if (due.length > 0) edge.later("tell of pulls", () => edge.origin.tellPulled(due));
}
