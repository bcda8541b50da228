// What becomes of an image before it is answered by tag: its pin is noted, at which it can be composed
// again; its pull is noted, which a collector goes by; it is kept or not; and it is tracked, to be made anew
// when its tag moves.

import { canonicalImage } from "../../registry/http/platforms.ts";
import type { Variant } from "../../registry/image/variant.ts";
import { namesOf } from "../../registry/naming/recipe.ts";
import type { Tag } from "../../registry/naming/reference.ts";
import type { BuiltForPlatforms, PlatformBuild } from "../images/answer.ts";
import type { KeptImages } from "../images/kept-images.ts";
import type { RecentImages } from "../memory/recent-documents.ts";
import type { PullNotes } from "../pulled/pull-notes.ts";
import { pulledOf } from "../pulled/pulled-image.ts";
import type { Tracked } from "../refresh/tracked.ts";
import type { AnsweredPins } from "../sources/answered-pins.ts";

/** Whether it is kept, here and at the edge. */
export type KeepPulled = (built: BuiltForPlatforms, asked: AskedBy) => Promise<boolean>;

export interface AskedBy {
  readonly tag: Tag;
  readonly variant: Variant;
  /** So that what is newer is kept as well. */
  readonly isKeptByEdge: boolean;
}

export interface KeepPulledOptions {
  readonly kept: KeptImages;
  readonly answered: Pick<AnsweredPins, "note">;
  readonly recent: RecentImages;
  readonly tracked: Pick<Tracked, "pulled">;
  readonly pulls: Pick<PullNotes, "pulled">;
  readonly hasEdge: boolean;
}

export function createKeepPulled(options: KeepPulledOptions): KeepPulled {
  const { kept, answered, recent, tracked, pulls, hasEdge } = options;
  return async (built, { tag, variant, isKeptByEdge }) => {
    const { manifest, pinned, movedTo } = built;
    const builds = built.kind === "image" ? [built] : built.images;
    recent.manifests.store(manifest);
    await answered.note(pinned.pin);
    for (const each of pulledOf(built, tag)) pulls.pulled(each);
    const isWanted = kept.isWanted(`${tag} ${variant} ${canonicalImage(built)}`);
    const isNeeded = hasEdge && !canEdgeCompose(built, builds);
    const images = builds.map((each) => each.built.image);
    const isKept =
      (isWanted || isKeptByEdge || isNeeded) && (await kept.keep({ images, manifest }));
    // What only stands in is made at the pin that the tag has, by what it stands in for.
    if (movedTo === null && !pinned.immutable) {
      const platforms =
        built.kind === "index" ? built.recipes.map(({ architecture }) => architecture) : null;
      for (const { recipe } of builds) {
        tracked.pulled({ recipe, tag, variant }, pinned.pin, isKept, platforms);
      }
    }
    return isKept;
  };
}

/**
 * Not which platforms a package does not support, nor what leads to a package by a detour: of that there
 * is no end. What the edge cannot compose by itself it would lose with its origin.
 */
function canEdgeCompose({ omitted }: BuiltForPlatforms, builds: readonly PlatformBuild[]): boolean {
  return (
    omitted.length === 0 &&
    builds.every(({ recipe, built }) => built.storedNames.length === namesOf(recipe).length)
  );
}
