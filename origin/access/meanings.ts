// What names mean to the rules of who may pull what: looked up as for a pull, with nothing built; and
// which images of a name hold a digest, as far as they can be composed of what is stored.

import type { AskedFor, Meanings } from "../../registry/access/gate.ts";
import { heldBy } from "../../registry/access/held.ts";
import type { Held, Holdings } from "../../registry/access/holdings.ts";
import { type Meaning, meaningOf, meaningOfLookups } from "../../registry/access/meaning.ts";
import {
  PLATFORMS_HEADER,
  type Platforms,
  parsePlatforms,
  recipesOf,
} from "../../registry/http/platforms.ts";
import { isFound } from "../../registry/image/lookup.ts";
import type { Pin } from "../../registry/naming/pin.ts";
import { canonicalRecipe, namesOf, type Recipe, systemOf } from "../../registry/naming/recipe.ts";
import type { Tag } from "../../registry/naming/reference.ts";
import { type BuildFailure, failureError } from "../failures/failures.ts";
import { isStopped, type Lookups, type NamedLookup } from "../images/lookups.ts";
import type { RecentImages } from "../memory/recent-documents.ts";
import { type Asker, type HoldLimits, holdFor } from "../pulling/asker.ts";
import type { ComposedAgain } from "../pulling/composed-again.ts";
import type { PinnedTag, Pins } from "../sources/pins.ts";
import { holdRequest, type Wait } from "../waiting/hold-request.ts";

export interface FindingMeanings {
  readonly platforms: Platforms;
  readonly pins: Pick<Pins, "resolve" | "lastLoading">;
  readonly lookups: Pick<Lookups, "find" | "known" | "stage">;
  readonly again: Pick<ComposedAgain, "all">;
  readonly holdings: Holdings;
  readonly recent: RecentImages;
  readonly holds: HoldLimits;
  readonly now: () => number;
}

/** For one request, which is held while names are looked up. */
export function meaningsFor(options: FindingMeanings, request: Request, asker: Asker): Meanings {
  const { platforms, lookups, again, holdings, now } = options;
  const asked = parsePlatforms(request.headers.get(PLATFORMS_HEADER) ?? "") ?? platforms;
  const recipes = ({ recipe }: AskedFor) => recipesOf(recipe, asked);
  return {
    async atTag(name, tag) {
      const hold = holdFor(options.holds, request, asker);
      const result = await holdRequest((wait) => atTag(options, recipes(name), tag, wait), hold, {
        isBusy: ({ kind }) => kind === "busy",
        // The next who asks finds it.
        onLate: () => {},
      });
      if (result.kind === "meaning") return result.meaning;
      throw failureError(result);
    },
    async atPin(name, pin) {
      const found: (readonly NamedLookup[])[] = [];
      for (const recipe of recipes(name)) {
        const system = systemOf(recipe.architecture);
        const known = await lookups.known(pin, system, namesOf(recipe));
        if (known === undefined) return undefined;
        found.push(known);
      }
      return readMeaning(recipes(name), found, pin);
    },
    holding(name, digest) {
      const each = recipes(name);
      const compose = () => heldByAll(again, each);
      return holdings.holding(keyOf(each), digest, compose, now());
    },
    given(name, meaning, digest) {
      const bytes = options.recent.manifests.lookup(digest);
      const held = bytes && heldBy(meaning, { digest, bytes });
      holdings.note(keyOf(recipes(name)), held ?? { meaning, digests: new Set([digest]) });
    },
  };
}

function keyOf(recipes: readonly Recipe[]): string {
  return recipes.map(canonicalRecipe).join(" ");
}

async function* heldByAll(
  again: FindingMeanings["again"],
  recipes: readonly [Recipe, ...Recipe[]],
): AsyncGenerator<Held> {
  for await (const { images, index, pin } of again.all(recipes)) {
    const meaning = meaningOf(
      recipes[0],
      images.map(({ canonical }) => canonical),
      pin,
    );
    for (const { manifest, of } of images) yield heldBy(meaning, manifest, of.packing);
    if (index !== undefined) yield heldBy(meaning, index);
  }
}

type MeaningResult = { readonly kind: "meaning"; readonly meaning: Meaning } | BuildFailure;

async function atTag(
  options: FindingMeanings,
  recipes: readonly [Recipe, ...Recipe[]],
  tag: Tag,
  wait: Wait,
): Promise<MeaningResult> {
  const { pins } = options;
  const pinned = await pins.resolve(tag);
  if (pinned.kind !== "pinned") return pinned;
  const found = await atPinned(options, recipes, pinned, wait);
  if (found.kind !== "set-failed" || pinned.immutable) return found;
  // A pull is answered at the revision before, so that is what counts.
  const last = await pins.lastLoading(tag);
  return last === undefined || last.pin === pinned.pin
    ? found
    : atPinned(options, recipes, last, wait);
}

async function atPinned(
  { lookups }: FindingMeanings,
  recipes: readonly [Recipe, ...Recipe[]],
  pinned: PinnedTag,
  { demand, onStage }: Wait,
): Promise<MeaningResult> {
  onStage(() => lookups.stage(pinned));
  const found: (readonly NamedLookup[])[] = [];
  for (const recipe of recipes) {
    const system = systemOf(recipe.architecture);
    const named = await lookups.find(pinned, system, namesOf(recipe), demand);
    for (const { lookup } of named) {
      if (!isStopped(lookup)) continue;
      return lookup.kind === "timed-out" ? { ...lookup, what: "evaluation" } : lookup;
    }
    found.push(named);
  }
  return { kind: "meaning", meaning: readMeaning(recipes, found, pinned.pin) };
}

function readMeaning(
  recipes: readonly [Recipe, ...Recipe[]],
  found: readonly (readonly NamedLookup[])[],
  pin: Pin,
): Meaning {
  const known = found.map((each) =>
    each.flatMap(({ name, lookup }) => (isFound(lookup) ? [{ name, found: lookup }] : [])),
  );
  return meaningOfLookups(recipes, known, pin);
}
