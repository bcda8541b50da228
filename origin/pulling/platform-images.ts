// A pull for several platforms: an index of all that can be had, or the first that can be had for a
// client that takes no index.

import type { WantedImage } from "../../registry/http/platforms.ts";
import type { Variant } from "../../registry/image/variant.ts";
import type { Recipe } from "../../registry/naming/recipe.ts";
import type { Tag } from "../../registry/naming/reference.ts";
import { type BuiltForPlatforms, oneImage } from "../images/answer.ts";
import {
  type FailedBuild,
  type FailedPlatform,
  failedBuild,
  indexOf,
  isUnsupported,
} from "../images/index-of-builds.ts";
import type { Wait } from "../waiting/hold-request.ts";
import type { TaggedImages, TaggedResult } from "./tagged-images.ts";

export async function buildForPlatforms(
  images: TaggedImages,
  wanted: WantedImage,
  tag: Tag,
  variant: Variant,
  wait: Wait,
): Promise<BuiltForPlatforms | FailedBuild> {
  const build = (recipes: readonly Recipe[]) => images.build(recipes, tag, variant, wait);
  switch (wanted.kind) {
    case "image":
      return buildFirst(build, [wanted.recipe]);
    case "first":
      return buildFirst(build, wanted.recipes);
    case "index":
      return indexOf(wanted.recipes, await build(wanted.recipes), variant);
    default:
      return wanted satisfies never;
  }
}

async function buildFirst(
  build: (recipes: readonly Recipe[]) => Promise<readonly TaggedResult[]>,
  recipes: readonly Recipe[],
): Promise<BuiltForPlatforms | FailedBuild> {
  const failed: FailedPlatform[] = [];
  for (const recipe of recipes) {
    const [built] = await build([recipe]);
    if (built === undefined) throw new Error("no result of a build");
    if (built.kind === "built") return oneImage({ recipe, built });
    failed.push({ recipe, failure: built });
    if (!isUnsupported(built)) break;
  }
  return failedBuild(failed, recipes);
}
