// What is told of an image here: of what is known as for composing it, with nothing written for it; what the
// package index says is absent; else what the origin says, which makes nothing for it either.

import { RegistryError } from "../../registry/http/error.ts";
import { askedPlatform, type ImageAnswer, imageFailed } from "../../registry/http/image-answer.ts";
import { type PageImage, pagePath } from "../../registry/http/page-route.ts";
import {
  formatPlatforms,
  PLATFORMS_HEADER,
  platformsOf,
  recipesOf,
} from "../../registry/http/platforms.ts";
import type { CanonicalImage } from "../../registry/image/canonical.ts";
import { compose } from "../../registry/image/compose.ts";
import { type ImageFacts, imageFacts, type KnownForm } from "../../registry/image/image-facts.ts";
import { FORMS } from "../../registry/image/record.ts";
import { VARIANT_TYPES, WIDEST_FIRST } from "../../registry/image/variant.ts";
import { type Architecture, platformName, type Recipe } from "../../registry/naming/recipe.ts";
import type { Tag } from "../../registry/naming/reference.ts";
import { packingsOf, pinsOf } from "../pulling/known-image.ts";
import { type KnownPins, knownNames, knownPins, knownRecords } from "../pulling/known-parts.ts";
import { unlessAbsent } from "../pulling/unless-absent.ts";
import type { Edge } from "../request/edge.ts";

export async function answerImage(edge: Edge, image: PageImage, url: URL): Promise<ImageAnswer> {
  const { repository, tag } = image;
  const platforms = platformsOf(image.recipe, edge.platforms);
  const architecture = askedPlatform(url, platforms);
  const about = { repository, tag, architecture, platforms };
  const [recipe] = recipesOf({ ...image.recipe, architecture }, platforms);
  const known = await knownPins(edge, tag);
  const facts = await knownFacts(edge, recipe, tag, known);
  const moves = known.own?.moves ?? [];
  if (facts !== undefined) {
    edge.trace.hit("composed");
    return { ...about, moves, image: { state: "known", facts } };
  }
  try {
    const absent = { recipes: [recipe], tag, wanted: "image", withNear: true } as const;
    const told = await unlessAbsent(edge, absent, () => askOrigin(edge, image, architecture));
    return { ...told, ...about };
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error;
    switch (error.code) {
      case "MANIFEST_UNKNOWN":
        return { ...about, moves, image: imageFailed(error, null) };
      case "UNAVAILABLE":
        edge.log({ level: "warn", event: "no word of an image", cause: error });
        return { ...about, moves, image: { state: "unknown", message: error.message } };
      default:
        throw error;
    }
  }
}

async function askOrigin(
  edge: Edge,
  { repository, tag }: PageImage,
  architecture: Architecture,
): Promise<ImageAnswer> {
  edge.trace.miss();
  await edge.misses.admitPull();
  const path = `${pagePath.imageData(repository, tag)}?platform=${platformName(architecture)}`;
  const asked = { [PLATFORMS_HEADER]: formatPlatforms(edge.platforms) };
  return edge.trace.time("origin", () => edge.origin.image(repository, path, asked));
}

/** At the newest pin at which everything is known in any form. */
async function knownFacts(
  edge: Edge,
  recipe: Recipe,
  tag: Tag,
  known: KnownPins,
): Promise<ImageFacts | undefined> {
  const pins = pinsOf(known, tag);
  const named = await knownNames(
    edge,
    [recipe],
    pins.map(({ pin }) => pin),
  );
  for (const [place, [image]] of named.entries()) {
    const resolved = pins[place];
    const [first, ...others] = image === undefined ? [] : await knownForms(edge, image, known);
    if (image === undefined || resolved === undefined || first === undefined) continue;
    // Of a tag that is a pin no time is known, and none matters.
    const { pin, resolvedAtMs } = resolved;
    const at = { pin, resolvedAtMs: resolvedAtMs || null, isNewest: place === 0 };
    return imageFacts(image, [first, ...others], at);
  }
  return undefined;
}

/** Of each form what can be composed, as layers are packed now or else were. */
async function knownForms(
  edge: Edge,
  image: CanonicalImage,
  known: KnownPins,
): Promise<readonly KnownForm[]> {
  const packings = FORMS.flatMap((form) =>
    packingsOf(known, form).map((packing) => ({ form, packing })),
  );
  const all = await knownRecords(
    edge,
    packings.map(({ packing }) => ({ image, packing })),
  );
  const forms: KnownForm[] = [];
  for (const variant of WIDEST_FIRST) {
    const { form } = VARIANT_TYPES[variant];
    for (const [place, { packing, ...of }] of packings.entries()) {
      const records = all[place];
      if (of.form !== form || records === undefined) continue;
      const composed = await compose(image.recipe, image.ingredients, records, variant);
      if (composed.kind !== "image") continue;
      forms.push({ variant, packing, image: composed.image, records });
      break;
    }
  }
  return forms;
}
