// A recipe as a person puts it together: front words, a platform, packages in the order they were chosen, and a
// tag. It is the image's name, and the address of the page that shows it.

import {
  EXPANSION_WORDS,
  type ExpansionWord,
  RECIPE_WORDS,
  type RecipeWord,
} from "../../registry/naming/front-words.ts";
import { ARCHITECTURES, type Architecture, parseRepository } from "../../registry/naming/recipe.ts";
import { LATEST, parseTag, type Tag } from "../../registry/naming/reference.ts";

export type FrontWord = ExpansionWord | RecipeWord;
/** In the order in which a name has them. */
export const FRONT_WORDS: readonly FrontWord[] = [...EXPANSION_WORDS, ...RECIPE_WORDS];

export interface Chosen {
  readonly words: readonly FrontWord[];
  /** Null: whichever the registry has. */
  readonly architecture: Architecture | null;
  /** As names say them. */
  readonly packages: readonly string[];
  readonly tag: Tag;
}

export const NOTHING: Chosen = { words: ["shell"], architecture: null, packages: [], tag: LATEST };

/** The name that says it; "" of nothing at all. */
export function repositoryOf({ words, architecture, packages }: Chosen): string {
  const front = FRONT_WORDS.filter((word) => words.includes(word));
  return [...(architecture === null ? [] : [architecture]), ...front, ...packages].join("/");
}

/** Why there can be no such image; undefined where there can. */
export function problemOf(chosen: Chosen): string | undefined {
  const repository = repositoryOf(chosen);
  const parsed = repository === "" ? undefined : parseRepository(repository);
  return parsed?.kind === "invalid" ? parsed.reason : undefined;
}

export type ReadName =
  | { readonly kind: "chosen"; readonly chosen: Chosen }
  | { readonly kind: "invalid"; readonly reason: string };

/** What a name says, be it a whole one or of one package, with a tag behind it or without. */
export function readName(text: string): ReadName {
  const colon = text.indexOf(":");
  const repository = (colon === -1 ? text : text.slice(0, colon)).trim();
  const parsed = parseRepository(repository);
  if (parsed.kind === "invalid") return parsed;
  const tag = colon === -1 ? LATEST : parseTag(text.slice(colon + 1).trim());
  if (tag === undefined) return { kind: "invalid", reason: TAG_REASON };
  const components = repository.split("/");
  const isFront = (component: string) =>
    FRONT_WORDS.some((word) => word === component) ||
    ARCHITECTURES.some((each) => each === component);
  const packages = [...new Set(components.filter((component) => !isFront(component)))];
  const words = FRONT_WORDS.filter((word) => components.includes(word));
  const { architecture } = parsed.recipe;
  return { kind: "chosen", chosen: { words, architecture, packages, tag } };
}

export const TAG_REASON =
  "a tag has up to 128 letters, digits, _, . and -, and begins with none of . and -";

/** Adds what a name says to what is there; what it leaves open stays. */
export function withName(chosen: Chosen, { words, architecture, packages, tag }: Chosen): Chosen {
  return {
    words: FRONT_WORDS.filter((word) => words.includes(word) || chosen.words.includes(word)),
    architecture: architecture ?? chosen.architecture,
    packages: [...new Set([...chosen.packages, ...packages])],
    tag: tag === LATEST ? chosen.tag : tag,
  };
}

/** How the page's address holds it. */
export function queryOf(chosen: Chosen): string {
  const repository = repositoryOf(chosen);
  const tag = chosen.tag === LATEST ? "" : `:${chosen.tag}`;
  return repository === "" ? "" : `?image=${repository}${tag}`;
}

/**
 * What an address holds: `image` by itself, or the fields of the form, which a browser without scripts sends.
 * Undefined of one that holds nothing.
 */
export function readQuery(query: URLSearchParams): ReadName | undefined {
  const image = query.get("image")?.trim() ?? "";
  if (image !== "") return readName(image);
  const packages = query
    .getAll("packages")
    .join(" ")
    .split(/[\s/,]+/)
    .filter((name) => name !== "");
  if (packages.length === 0) return undefined;
  const given = query.getAll("word");
  const words = FRONT_WORDS.filter((word) => given.includes(word));
  const platform = ARCHITECTURES.filter((each) => each === query.get("platform"));
  const tag = query.get("tag")?.trim() || LATEST;
  return readName(`${[...platform, ...words, ...packages].join("/")}:${tag}`);
}
