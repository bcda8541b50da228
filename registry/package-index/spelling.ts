// How an image name says what a package set has: the shortest spelling that means one attribute only,
// and where several are meant, that of each.

import { attributeName, exactSpelling } from "../naming/attribute.ts";
import { MAX_NAME_LENGTH } from "../naming/recipe.ts";

/** One of several attributes that a name may mean. */
export interface Meaning {
  readonly attribute: string;
  /** How an image name says it and no other; null where none can. */
  readonly name: string | null;
}

/**
 * The names of some members of a set, as suggestions: behind the parts that led to the set, without
 * what no image name can say, and without what was asked for.
 */
export function spelledMembers(
  members: readonly string[],
  all: readonly string[],
  prefix: readonly string[],
  asked: string,
): readonly string[] {
  return members.flatMap((member) => {
    const name = fitting([...prefix, spelledIn(member, all)]);
    return name === null || name === asked ? [] : [name];
  });
}

/** In small letters where they mean no other member of the set, as lookup.nix reads them; else exactly. */
function spelledIn(member: string, all: readonly string[]): string | null {
  const lower = member.toLowerCase();
  const short = /^_[0-9]/.test(lower) ? lower.slice(1) : lower;
  const isPlain = exactSpelling(short) === short;
  return isPlain && meantBy(short, all).join() === member ? short : exactSpelling(member);
}

function meantBy(part: string, all: readonly string[]): readonly string[] {
  const forms = /^[0-9]/.test(part) ? [part, `_${part}`] : [part];
  const alike = all.filter(
    (name) =>
      (name.length === part.length || name.length === part.length + 1) &&
      forms.includes(name.toLowerCase()),
  );
  return alike.includes(part) ? [part] : alike;
}

/**
 * What a name may mean, of the parts that it was asked in. A part that leads to one attribute stays as
 * it was written. `isAll` is false where only some of the paths are known.
 */
export function meaningsOf(
  paths: readonly (readonly string[])[],
  asked: readonly string[],
  isAll: boolean,
): readonly Meaning[] {
  const isOne = asked.map((_, at) => isAll && new Set(paths.map((path) => path[at])).size === 1);
  return paths.map((path) => {
    const parts = asked.map((part, at) => {
      const attribute = path[at];
      return attribute === undefined || isOne[at] ? part : exactSpelling(attribute);
    });
    return { attribute: attributeName(path), name: fitting(parts) };
  });
}

function fitting(parts: readonly (string | null)[]): string | null {
  if (parts.includes(null)) return null;
  const name = parts.join(".");
  return name.length <= MAX_NAME_LENGTH ? name : null;
}
