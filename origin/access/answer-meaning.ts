// Answers an edge that has to know what a name means before it lets anybody have it.

import type { Meanings } from "../../registry/access/gate.ts";
import { MEANING_HEADER, type Meaning } from "../../registry/access/meaning.ts";
import { jsonResponse } from "../../registry/http/answer.ts";
import { RegistryError } from "../../registry/http/error.ts";
import type { Route } from "../../registry/http/route.ts";
import { parsePin } from "../../registry/naming/pin.ts";
import { LATEST } from "../../registry/naming/reference.ts";

/** Of a digest at most so many: an edge stops at the first that is allowed. */
const MAX_MEANINGS = 64;

export async function answerMeaning(
  meanings: Meanings,
  { method, headers }: Request,
  route: Route,
): Promise<Response> {
  const found = await find(meanings, parsePin(headers.get(MEANING_HEADER) ?? ""), route);
  // Of several origins another may know.
  if (found.length === 0) throw new RegistryError("NAME_UNKNOWN", "nothing is known of it here");
  return jsonResponse({ meanings: found }, method);
}

async function find(
  meanings: Meanings,
  pin: ReturnType<typeof parsePin>,
  route: Route,
): Promise<readonly Meaning[]> {
  switch (route.kind) {
    case "ping":
      throw new RegistryError("NAME_UNKNOWN", "no name, so no meaning");
    case "tags":
    case "referrers":
      return [await meanings.atTag(route, LATEST)];
    case "blob":
      return all(meanings.holding(route, route.digest));
    case "manifest": {
      if (pin !== undefined) return one(await meanings.atPin(route, pin));
      const { reference } = route;
      return reference.kind === "tag"
        ? [await meanings.atTag(route, reference.tag)]
        : all(meanings.holding(route, reference.digest));
    }
    default:
      return route satisfies never;
  }
}

function one(meaning: Meaning | undefined): readonly Meaning[] {
  return meaning === undefined ? [] : [meaning];
}

async function all(found: AsyncIterable<Meaning>): Promise<readonly Meaning[]> {
  const distinct = new Map<string, Meaning>();
  for await (const meaning of found) {
    distinct.set(JSON.stringify(meaning), meaning);
    if (distinct.size === MAX_MEANINGS) break;
  }
  return [...distinct.values()];
}
