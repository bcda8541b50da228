// Who may pull which images. A rule allows or refuses some images to some people; what no rule allows is
// refused, and what any rule refuses is refused whatever others allow.

import type { Meaning } from "./meaning.ts";
import { type ImagePattern, type PackagePattern, parseImage, parsePackages } from "./pattern.ts";

/** Who asks: somebody known by an account, or nobody in particular. */
export type Visitor =
  | { readonly kind: "anonymous" }
  | { readonly kind: "known"; readonly name: string; readonly groups: readonly string[] };

/** As an operator writes them. */
export interface WrittenImages {
  readonly names?: readonly string[] | undefined;
  readonly packages?: readonly string[] | undefined;
}

export interface WrittenRule {
  readonly who: readonly string[];
  readonly allow?: WrittenImages | undefined;
  readonly deny?: WrittenImages | undefined;
}

interface Images {
  readonly names: readonly ImagePattern[];
  readonly packages: readonly PackagePattern[];
  /** Whether it means every image there is, whatever packages are called. */
  readonly isAll: boolean;
}

export interface Rule {
  readonly who: readonly string[];
  readonly allow: Images;
  readonly deny: Images;
}

/** Everybody; who has no account; who has one. Else the name of an account, or `@` and that of a group. */
export const EVERYONE = "everyone";
export const ANONYMOUS = "anonymous";
export const KNOWN = "known";
export const ALL_IMAGES = "*";

/** What may be pulled by somebody: told without knowing what a name means. */
export type Reach = "everything" | "something" | "nothing";

export function reachOf(rules: readonly Rule[], visitor: Visitor): Reach {
  const own = rulesFor(rules, visitor);
  if (own.some(({ deny }) => deny.isAll) || !own.some(({ allow }) => isSome(allow))) {
    return "nothing";
  }
  const isAll = own.some(({ allow }) => allow.isAll) && !own.some(({ deny }) => isSome(deny));
  return isAll ? "everything" : "something";
}

export function mayPull(rules: readonly Rule[], visitor: Visitor, meaning: Meaning): boolean {
  const own = rulesFor(rules, visitor);
  const { named, held, unknown } = meaning;
  const all = [...named, ...held, ...unknown];
  const isDenied = own.some(
    ({ deny }) =>
      deny.names.some((matches) => matches(meaning)) ||
      deny.packages.some((matches) => all.some(matches)),
  );
  if (isDenied) return false;
  const packages = own.flatMap(({ allow }) => allow.packages);
  return (
    own.some(({ allow }) => allow.names.some((matches) => matches(meaning))) ||
    (packages.length > 0 &&
      [...named, ...unknown].every((name) => packages.some((matches) => matches(name))))
  );
}

function rulesFor(rules: readonly Rule[], visitor: Visitor): readonly Rule[] {
  const words =
    visitor.kind === "anonymous"
      ? [EVERYONE, ANONYMOUS]
      : [EVERYONE, KNOWN, visitor.name, ...visitor.groups.map((group) => `@${group}`)];
  return rules.filter(({ who }) => who.some((each) => words.includes(each)));
}

function isSome({ names, packages }: Images): boolean {
  return names.length + packages.length > 0;
}

/** Notes what is wrong with it, in words that begin with its place. */
export function parseRule(
  { who, allow, deny }: WrittenRule,
  place: string,
  problem: (text: string) => void,
): Rule {
  return {
    who,
    allow: parseImages(allow, `${place}.allow`, problem),
    deny: parseImages(deny, `${place}.deny`, problem),
  };
}

function parseImages(
  { names = [], packages = [] }: WrittenImages = {},
  place: string,
  problem: (text: string) => void,
): Images {
  const tell = (what: string, text: string, why: string) => {
    problem(`${place}.${what}: ${JSON.stringify(text)}: ${why}`);
    return [];
  };
  return {
    names: names.flatMap((text) => {
      const parsed = parseImage(text);
      return typeof parsed === "string" ? tell("names", text, parsed) : [parsed];
    }),
    packages: packages.flatMap((text) => {
      const parsed = parsePackages(text);
      return typeof parsed === "string" ? tell("packages", text, parsed) : parsed;
    }),
    isAll: [...names, ...packages].includes(ALL_IMAGES),
  };
}
