// What a name means by an index, as nix/names.nix walks a set: what it says is what Nix would be found to
// say, or nothing. Names of whole images, those below packages or below sets that are not listed, and those
// that may mean several things are for Nix to answer.

import type { Lookup } from "../image/lookup.ts";
import { attributeName, attributePath, isMeant, readPart } from "../naming/attribute.ts";
import { foldPath } from "./fold.ts";
import { exampleNames, nearNames } from "./near-names.ts";
import { type IndexedSet, type IndexRoot, type ShardRef, setsSpelled, shardFor } from "./root.ts";
import { entriesSpelled, type Said, type Shard } from "./shard.ts";
import { spelledMembers } from "./spelling.ts";

/** How a name is answered: with one shard at most. */
export type Plan =
  | { readonly kind: "unknown" }
  | {
      readonly kind: "look";
      /** None holds it where undefined. */
      readonly shard: ShardRef | undefined;
      readonly name: string;
      /** The path of the set that a part of the name is sought in. */
      readonly within: readonly string[];
      readonly part: string;
      /** Nothing of the name comes after it. */
      readonly isLast: boolean;
      readonly sets: readonly IndexedSet[];
    };

export type Answer =
  | { readonly kind: "said"; readonly lookup: Lookup }
  /** A set has no such name; or the name is of a set, which is no package. */
  | Unnamed
  | { readonly kind: "unknown" };

export type Unnamed =
  | {
      readonly kind: "missing";
      readonly name: string;
      readonly within: readonly string[];
      readonly part: string;
    }
  | { readonly kind: "set"; readonly name: string; readonly path: readonly string[] };

const UNKNOWN = { kind: "unknown" } as const;

export function plan(root: IndexRoot, name: string): Plan {
  if (isImage(root, name)) return UNKNOWN;
  let within: readonly string[] = [];
  const parts = name.split(".");
  for (const [place, part] of parts.entries()) {
    const isLast = place === parts.length - 1;
    const fold = foldPath([...within, readPart(part)]);
    const sets = membersOf(setsSpelled(root, fold), within, ({ path }) => path).filter(({ own }) =>
      isMeant(part, own),
    );
    const [set, second] = sets;
    if (isLast || set === undefined) {
      const found = sets.map(({ member }) => member);
      return { kind: "look", shard: shardFor(root, fold), name, within, part, isLast, sets: found };
    }
    if (second !== undefined || !set.member.isListed) return UNKNOWN;
    within = attributePath(set.member.path);
  }
  return UNKNOWN;
}

/** An image goes before all packages that are spelled like it. */
function isImage({ images }: IndexRoot, name: string): boolean {
  return images.some((image) => isMeant(name, image));
}

/** `shard` is the plan's; undefined where it has none. */
export function answer(
  root: IndexRoot,
  { name, within, part, isLast, sets }: Extract<Plan, { kind: "look" }>,
  shard: Shard | undefined,
): Answer {
  const fold = foldPath([...within, readPart(part)]);
  const entries = shard === undefined ? [] : entriesSpelled(shard, fold);
  if (entries === undefined) return UNKNOWN;
  const candidates: readonly Candidate[] = [
    ...membersOf(entries, within, ({ attribute }) => attribute).map(({ own, member }) => ({
      ...{ own, said: member.said },
    })),
    ...membersOf(sets, within, ({ path }) => path).map(({ own, member }) => ({ own, set: member })),
  ];
  const exact = candidates.filter(({ own }) => own === readPart(part));
  const meant = exact.length > 0 ? exact : candidates.filter(({ own }) => isMeant(part, own));
  const [first, second] = meant;
  if (first === undefined) {
    return root.isComplete ? { kind: "missing", name, within, part } : UNKNOWN;
  }
  if (second !== undefined || !isLast) return UNKNOWN;
  if (first.set === undefined) return saidAnswer(first.said);
  return first.set.isListed ? { kind: "set", name, path: [...within, first.own] } : UNKNOWN;
}

type Candidate = { readonly own: string } & (
  | { readonly said: Said; readonly set?: undefined }
  | { readonly set: IndexedSet }
);

/** What depends on how a name was written is said of one way to write it. */
function saidAnswer(said: Said): Answer {
  switch (said.kind) {
    case "unexplained":
    case "missing":
    case "ambiguous":
      return UNKNOWN;
    default:
      return { kind: "said", lookup: said };
  }
}

/** Those that lie in a set, each with its own name there. */
function membersOf<Member>(
  all: readonly Member[],
  within: readonly string[],
  pathOf: (member: Member) => string,
): readonly { readonly own: string; readonly member: Member }[] {
  return all.flatMap((member) => {
    const path = attributePath(pathOf(member));
    const own = path.at(-1);
    const isIn = path.length === within.length + 1 && within.every((part, at) => part === path[at]);
    return own === undefined || !isIn ? [] : [{ own, member }];
  });
}

/** The set whose names `lookupOf` wants, as `namesIn` takes it. */
export function setOf(unnamed: Unnamed): string {
  return attributeName(unnamed.kind === "set" ? unnamed.path : unnamed.within);
}

/** With what may have been meant, of the names that the set has. */
export function lookupOf(
  { images }: Pick<IndexRoot, "images">,
  unnamed: Unnamed,
  names: readonly string[],
): Lookup {
  const parts = unnamed.name.split(".");
  const all = setOf(unnamed) === "" ? [...names, ...images] : names;
  switch (unnamed.kind) {
    case "missing": {
      const near = nearNames(readPart(unnamed.part), all);
      const prefix = parts.slice(0, unnamed.within.length);
      return { kind: "missing", near: spelledMembers(near, all, prefix, unnamed.name) };
    }
    case "set": {
      const near = spelledMembers(exampleNames(all), all, parts, unnamed.name);
      return { kind: "not-a-package", what: "set", near };
    }
    default:
      return unnamed satisfies never;
  }
}
