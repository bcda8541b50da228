// What names mean to the rules of who may pull what, and which of a name's images hold a digest: from what
// is known here, else from the origin, which builds nothing for it.

import type { AskedFor, Meanings } from "../../registry/access/gate.ts";
import { heldBy } from "../../registry/access/held.ts";
import type { Held } from "../../registry/access/holdings.ts";
import { type Meaning, meaningOf, meaningOfLookups } from "../../registry/access/meaning.ts";
import { RegistryError } from "../../registry/http/error.ts";
import { formatPlatforms, PLATFORMS_HEADER, recipesOf } from "../../registry/http/platforms.ts";
import { VARIANTS } from "../../registry/image/variant.ts";
import type { Pin } from "../../registry/naming/pin.ts";
import { canonicalRecipe, type Recipe } from "../../registry/naming/recipe.ts";
import type { AskedMeaning } from "../origin-client/meanings.ts";
import { unusable } from "../origin-client/origin-error.ts";
import { foundOf, knownLookups, lookupsOf } from "../package-index/known-lookups.ts";
import { possibilities } from "../pulling/composed-again.ts";
import { compositionOf, pinsOf } from "../pulling/known-image.ts";
import { knownPins } from "../pulling/known-parts.ts";
import type { Edge } from "../request/edge.ts";
import type { AccessMemory } from "./guard.ts";

const MAX_MEANINGS = 5000;
/** Six times what a name has led to lately. */
const MAX_COMPOSED = 6 * VARIANTS.length;

type Recipes = readonly [Recipe, ...Recipe[]];

export function createMeanings(edge: Edge, memory: AccessMemory): Meanings {
  const recipes = ({ recipe }: AskedFor): Recipes => recipesOf(recipe, edge.platforms);

  function remember(name: string, meaning: Meaning): Meaning {
    // Forgetting all of them costs each a read more: cheaper than keeping an order.
    if (memory.meanings.size >= MAX_MEANINGS) memory.meanings.clear();
    memory.meanings.set(`${meaning.pin} ${name}`, meaning);
    return meaning;
  }

  /** At the newest of these pins at which all names are known here. */
  async function knownMeaning(each: Recipes, pins: readonly Pin[]): Promise<Meaning | undefined> {
    const name = keyOf(each);
    const remembered = pins.flatMap((pin) => memory.meanings.get(`${pin} ${name}`) ?? [])[0];
    if (remembered !== undefined || pins.length === 0) return remembered;
    const known = await knownLookups(edge, each, pins);
    for (const [place, names] of known.entries()) {
      const pin = pins[place];
      const found = names.flatMap((one) => {
        const lookups = lookupsOf(one);
        return lookups === undefined ? [] : [foundOf(lookups)];
      });
      if (pin !== undefined && found.length === each.length) {
        return remember(name, meaningOfLookups(each, found, pin));
      }
    }
    return undefined;
  }

  async function askOrigin(
    { repository }: AskedFor,
    where: AskedMeaning["where"],
  ): Promise<readonly Meaning[]> {
    await edge.misses.admitPull();
    const asked = { [PLATFORMS_HEADER]: formatPlatforms(edge.platforms) };
    return edge.trace.time("origin", () => edge.origin.meanings({ repository, where }, asked));
  }

  function rememberFirst(name: AskedFor, told: readonly Meaning[]): Meaning | undefined {
    const [meaning] = told;
    return meaning && remember(keyOf(recipes(name)), meaning);
  }

  return {
    async atTag(name, tag) {
      const pins = pinsOf(await knownPins(edge, tag), tag).map(({ pin }) => pin);
      const known = await knownMeaning(recipes(name), pins);
      if (known !== undefined) return known;
      const meaning = rememberFirst(name, await askOrigin(name, { kind: "tag", tag }));
      if (meaning !== undefined) return meaning;
      throw unusable("no word of what a name means");
    },
    async atPin(name, pin) {
      const known = await knownMeaning(recipes(name), [pin]);
      if (known !== undefined) return known;
      const told = await askOrigin(name, { kind: "pin", pin }).catch(noneIfAbsent);
      return rememberFirst(name, told);
    },
    async *holding(name, digest) {
      const each = recipes(name);
      const key = keyOf(each);
      const compose = () => heldByAll(edge, each);
      yield* memory.holdings.holding(key, digest, compose, edge.now());
      const told = await askOrigin(name, { kind: "digest", digest }).catch(noneIfAbsent);
      for (const meaning of told) {
        memory.holdings.note(key, { meaning, digests: new Set([digest]) });
        yield meaning;
      }
    },
    given(name, meaning, digest) {
      const manifest = edge.memory.lookup(digest);
      if (manifest === undefined) return;
      memory.holdings.note(keyOf(recipes(name)), heldBy(meaning, manifest));
    },
  };
}

/** What no origin knows of. */
function noneIfAbsent(error: unknown): readonly Meaning[] {
  if (error instanceof RegistryError && error.status === 404) return [];
  throw error;
}

function keyOf(recipes: readonly Recipe[]): string {
  return recipes.map(canonicalRecipe).join(" ");
}

/**
 * What can be composed here of a name, the newest pin first, in every form; with the reads of a few pins,
 * for a request may make no more than 50. What is older the origin has to tell.
 */
async function* heldByAll(edge: Edge, recipes: Recipes): AsyncGenerator<Held> {
  let count = 0;
  for await (const possible of possibilities(edge, recipes, VARIANTS)) {
    const { named, images, variant, pin, packing } = possible;
    const meaning = meaningOf(recipes[0], named, pin);
    for (const { manifest } of images) yield heldBy(meaning, manifest, packing);
    if (images.length > 1 && images.length === recipes.length) {
      yield heldBy(meaning, (await compositionOf(images, variant)).manifest, packing);
    }
    count += 1;
    if (count === MAX_COMPOSED) return;
  }
}
