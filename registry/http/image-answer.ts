// What is told of an image to whoever asks about it and does not pull it: everything where it is known, why
// there is none where it has failed, or that nobody has made it yet. The JSON of `/api/images/`, which an edge
// also asks its origin for, and what the image's page shows.

import * as v from "valibot";
import { tagSchema } from "../between/backfill.ts";
import { type TagMove, tagMovesSchema } from "../between/tag-pins.ts";
import { type ImageFacts, imageFactsSchema } from "../image/image-facts.ts";
import type { Pin } from "../naming/pin.ts";
import {
  ARCHITECTURES,
  type Architecture,
  MAX_NAME_LENGTH,
  platformName,
} from "../naming/recipe.ts";
import type { Tag } from "../naming/reference.ts";
import { jsonResponse } from "./answer.ts";
import { PIN_HEADER } from "./content.ts";
import { type ErrorCode, isErrorCode, RegistryError } from "./error.ts";
import type { Platforms } from "./platforms.ts";

export interface ImageAnswer {
  /** As whoever asks has spelled it. */
  readonly repository: string;
  readonly tag: Tag;
  /** What this is about, of the platforms that the name means. */
  readonly architecture: Architecture;
  readonly platforms: Platforms;
  /** Where the tag led, the newest first, as far as it is remembered. */
  readonly moves: readonly TagMove[];
  readonly image: ImageState;
}

export type ImageState =
  | { readonly state: "known"; readonly facts: ImageFacts }
  /** Nothing is known of it, and nothing was begun; `message` says what is missing. */
  | { readonly state: "unknown"; readonly message: string }
  | ImageFailed;

/** As a pull would be told, or was told last. */
export interface ImageFailed {
  readonly state: "failed";
  readonly code: ErrorCode;
  readonly message: string;
  /** The registry's `detail`: an entry for each package, or one for the image. */
  readonly detail: readonly unknown[];
  /** Whether trying again may go better. */
  readonly mayPass: boolean;
  /** When a pull was told so, in milliseconds since the epoch; null where one would be told so now. */
  readonly failedAtMs: number | null;
}

export function imageFailed(error: RegistryError, failedAtMs: number | null): ImageFailed {
  const { code, message, options } = error;
  const detail = Array.isArray(options.detail) ? options.detail : [];
  const mayPass = options.retryAfterSeconds !== undefined;
  return { state: "failed", code, message, detail, mayPass, failedAtMs };
}

/** Which of the platforms that a name means `?platform=` asks for: the first where it says none. */
export function askedPlatform(url: URL, platforms: Platforms): Architecture {
  const asked = url.searchParams.get("platform");
  if (asked === null || asked === "") return platforms[0];
  const found = platforms.find((each) => platformName(each) === asked);
  if (found !== undefined) return found;
  const offered = platforms.map(platformName).join(" or ");
  throw new RegistryError("MANIFEST_UNKNOWN", `this image is for ${offered}`);
}

/** What an answer's status says: as a pull's where there is no image, for programs that look no further. */
export function statusOf({ image }: ImageAnswer): number {
  switch (image.state) {
    case "known":
      return 200;
    case "unknown":
      return 404;
    case "failed":
      return new RegistryError(image.code).status;
    default:
      return image satisfies never;
  }
}

/** By which the gate knows at which revision the names were looked up. */
export function pinHeaders({ image }: ImageAnswer): Readonly<Record<string, string>> {
  const pin: Pin | undefined = image.state === "known" ? image.facts.pin : undefined;
  return pin === undefined ? {} : { [PIN_HEADER]: pin };
}

/** Never cached: it says what is so now. */
export function imageDataResponse(answer: ImageAnswer, method: string): Response {
  const { headers, body } = jsonResponse(answer, method);
  for (const [name, value] of Object.entries(pinHeaders(answer))) headers.set(name, value);
  return new Response(body, { status: statusOf(answer), headers });
}

/** Of an image with thousands of store paths; a usual one's answer has some 20 kB. */
export const MAX_ANSWER_BYTES = 8 * 1024 * 1024;

const platformsSchema: v.GenericSchema<unknown, Platforms> = v.pipe(
  v.tupleWithRest([v.picklist(ARCHITECTURES)], v.picklist(ARCHITECTURES)),
  v.maxLength(ARCHITECTURES.length),
);

const text = v.string();
const answerSchema: v.GenericSchema<unknown, ImageAnswer> = v.object({
  repository: v.pipe(text, v.maxLength(MAX_NAME_LENGTH)),
  tag: tagSchema,
  architecture: v.picklist(ARCHITECTURES),
  platforms: platformsSchema,
  moves: tagMovesSchema,
  image: v.variant("state", [
    v.object({ state: v.literal("known"), facts: imageFactsSchema }),
    v.object({ state: v.literal("unknown"), message: text }),
    v.object({
      state: v.literal("failed"),
      code: v.pipe(
        text,
        v.check(isErrorCode),
        v.transform((code) => code as ErrorCode),
      ),
      message: text,
      detail: v.array(v.unknown()),
      mayPass: v.boolean(),
      failedAtMs: v.nullable(v.number()),
    }),
  ]),
});

/** As the origin tells the edge; undefined for anything else. */
export function parseImageAnswer(json: unknown): ImageAnswer | undefined {
  const parsed = v.safeParse(answerSchema, json);
  return parsed.success ? parsed.output : undefined;
}
