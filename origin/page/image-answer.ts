// What is told of an image here: of what is stored and remembered. No name is looked up for it, nothing built
// and nothing written.

import {
  type ImageAnswer,
  type ImageState,
  imageFailed,
} from "../../registry/http/image-answer.ts";
import { imageFacts } from "../../registry/image/image-facts.ts";
import type { Pin } from "../../registry/naming/pin.ts";
import type { Recipe } from "../../registry/naming/recipe.ts";
import type { Tag } from "../../registry/naming/reference.ts";
import { failureError } from "../failures/failures.ts";
import type { KnownImages } from "../images/known-images.ts";
import type { FailedPulls } from "../pulling/failed-pulls.ts";
import type { Pins } from "../sources/pins.ts";

export interface AnsweringImages {
  readonly pins: Pick<Pins, "known" | "moves">;
  readonly known: Pick<KnownImages, "state">;
  readonly failed: Pick<FailedPulls, "lookup">;
}

/** Where a tag led lately: an image is told of as it was while nobody has made it anew. */
const EARLIER_PINS = 3;

export async function answerImage(
  options: AnsweringImages,
  recipe: Recipe,
  tag: Tag,
): Promise<Pick<ImageAnswer, "moves" | "image">> {
  const { pins } = options;
  const pinned = await pins.known(tag);
  switch (pinned?.kind) {
    case "unknown-tag":
      return { moves: [], image: imageFailed(failureError(pinned), null) };
    case undefined:
      return { moves: [], image: toldFailure(options, recipe, tag) ?? UNKNOWN };
    case "pinned": {
      const moves = pinned.immutable ? [] : await pins.moves(tag);
      const resolvedAtMs = pinned.immutable ? null : pinned.resolvedAtMs;
      const earlier = moves.map(({ pin }) => pin).filter((pin) => pin !== pinned.pin);
      const newest = await stateAt(options, recipe, {
        pin: pinned.pin,
        resolvedAtMs,
        isNewest: true,
      });
      if (newest !== undefined) return { moves, image: newest };
      const told = toldFailure(options, recipe, tag);
      if (told !== undefined) return { moves, image: told };
      for (const pin of [...new Set(earlier)].slice(0, EARLIER_PINS)) {
        const state = await stateAt(options, recipe, { pin, resolvedAtMs: null, isNewest: false });
        if (state?.state === "known") return { moves, image: state };
      }
      return { moves, image: UNKNOWN };
    }
    default:
      return pinned satisfies never;
  }
}

interface At {
  readonly pin: Pin;
  readonly resolvedAtMs: number | null;
  readonly isNewest: boolean;
}

async function stateAt(
  { known }: AnsweringImages,
  recipe: Recipe,
  at: At,
): Promise<ImageState | undefined> {
  const state = await known.state(recipe, at.pin);
  switch (state?.kind) {
    case "known":
      return { state: "known", facts: imageFacts(state.image, state.forms, at) };
    case "failed":
      return imageFailed(failureError(state.failure), null);
    case undefined:
      return undefined;
    default:
      return state satisfies never;
  }
}

function toldFailure(
  { failed }: AnsweringImages,
  recipe: Recipe,
  tag: Tag,
): ImageState | undefined {
  const told = failed.lookup(recipe, tag);
  return told && imageFailed(told.error, told.atMs);
}

const UNKNOWN: ImageState = {
  state: "unknown",
  message: "It has not been made yet, or not at the revision that its tag has now",
};
