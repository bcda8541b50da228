// What the package index says is absent, is absent: told here while the tag's pin is fresh; where the tag may
// have moved on, the origin is asked first, and where that cannot be reached the client is told so.

import { PIN_HEADER } from "../../registry/http/content.ts";
import { RegistryError } from "../../registry/http/error.ts";
import type { Pin } from "../../registry/naming/pin.ts";
import type { Recipe } from "../../registry/naming/recipe.ts";
import type { Tag } from "../../registry/naming/reference.ts";
import { OriginFailure } from "../origin-client/origin-error.ts";
import { absentError, absentImage, type Wanted } from "../package-index/absent.ts";
import type { Edge } from "../request/edge.ts";
import { pinsOf } from "./known-image.ts";
import { knownPins } from "./known-parts.ts";
import { staleness } from "./staleness.ts";

export interface MaybeAbsent {
  /** One for each platform that the name may mean. */
  readonly recipes: readonly Recipe[];
  readonly tag: Tag;
  readonly wanted: Wanted;
  /** Whether the client reads which names are near. */
  readonly withNear: boolean;
}

/** Throws the error that the origin would answer. */
export async function unlessAbsent<Answer>(
  edge: Edge,
  { recipes, tag, ...shown }: MaybeAbsent,
  ask: () => Promise<Answer>,
): Promise<Answer> {
  const [resolved] = pinsOf(await knownPins(edge, tag), tag);
  if (resolved === undefined) return ask();
  const absent = await absentImage(edge, recipes, resolved.pin);
  if (absent === undefined) return ask();
  const warning = staleness(edge, tag, resolved.resolvedAtMs, true);
  if (warning !== undefined) {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof OriginFailure)) throw error;
    }
  }
  edge.trace.hit("package-index");
  throw toldAt(resolved.pin, await absentError(edge, absent, shown), warning);
}

function toldAt(pin: Pin, error: RegistryError, warning: string | undefined): RegistryError {
  const headers = { [PIN_HEADER]: pin, ...(warning !== undefined && { Warning: warning }) };
  return new RegistryError(error.code, error.message, { ...error.options, headers });
}
