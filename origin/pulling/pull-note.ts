// What the log says of one request besides its path: which image was asked for, where the answer came
// from, and what was new. The names are stable, since programs read them; docs/operating.md lists them.

import { isStillBuilding } from "../../registry/http/building.ts";
import type { ErrorCode, RegistryError } from "../../registry/http/error.ts";
import type { Variant } from "../../registry/image/variant.ts";
import type { Digest } from "../../registry/naming/digest.ts";
import type { Pin } from "../../registry/naming/pin.ts";
import type { Tag } from "../../registry/naming/reference.ts";
import type { BuiltForPlatforms } from "../images/answer.ts";

/** Of a pull by tag, where its answer came from. */
export type PullAnswer =
  /** Composed of what was known, without Nix and without packing. */
  | "remembered"
  | "made"
  /** At an earlier revision, since the source is silent or the image still to be made. */
  | "stale"
  | "still-under-way"
  | "failed"
  /** The client did not wait. */
  | "left";

export interface PullFacts {
  readonly image?: string;
  readonly tag?: Tag;
  readonly variant?: Variant;
  readonly answer?: PullAnswer;
  readonly pin?: Pin;
  /** Of layers that were packed since the request came, as clients fetch them. */
  readonly newBytes?: number;
  readonly code?: ErrorCode;
  readonly message?: string;
}

export interface PullNote {
  /** The image as the client spelled it. */
  asked(image: string, tag: Tag, variant: Variant): void;
  built(built: BuiltForPlatforms, newBytes: number): void;
  refused(error: RegistryError): void;
  left(): void;
  facts(): PullFacts;
}

const MAX_MESSAGE_CHARACTERS = 2000;

export function openPullNote(): PullNote {
  let facts: PullFacts = {};
  const add = (more: PullFacts) => {
    facts = { ...facts, ...more };
  };
  /** Only of a pull: what is wrong with another request says its status. */
  const answered = (answer: PullAnswer) => (facts.image === undefined ? {} : { answer });
  return {
    asked: (image, tag, variant) => add({ image, tag, variant }),
    built: (built, newBytes) => add(factsOf(built, newBytes)),
    refused({ code, message, options }) {
      const outcome = isStillBuilding(options.detail) ? "still-under-way" : "failed";
      add({ ...answered(outcome), code, message: message.slice(0, MAX_MESSAGE_CHARACTERS) });
    },
    left: () => add(answered("left")),
    facts: () => facts,
  };
}

export function factsOf(built: BuiltForPlatforms, newBytes: number): PullFacts {
  const { pinned, movedTo } = built;
  const isStale = movedTo !== null || pinned.outdated !== undefined;
  const isRemembered = newBytes === 0 && imagesOf(built).every((image) => image.isRemembered);
  const answer = isStale ? "stale" : isRemembered ? "remembered" : "made";
  return { answer, pin: pinned.pin, newBytes };
}

/** A generator, so that no manifest is read where nothing was packed. */
export function* layersOf(built: BuiltForPlatforms): Generator<Digest> {
  for (const { image } of imagesOf(built)) {
    const text = new TextDecoder().decode(image.manifest.bytes);
    const { layers } = JSON.parse(text) as { layers: readonly { digest: Digest }[] };
    for (const { digest } of layers) yield digest;
  }
}

function imagesOf(built: BuiltForPlatforms) {
  return built.kind === "image" ? [built.built] : built.images.map((each) => each.built);
}
