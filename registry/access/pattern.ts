// How the rules of a registry name packages and images: as an image name does, with `*` for anything.
// A pattern means what a package is, by the one attribute that it has in its set, and not how somebody
// spelled it.

import { attributeName, isEscaped, readPart } from "../naming/attribute.ts";
import { EXPANSIONS, type RecipeWord } from "../naming/front-words.ts";
import { isImplicit, type PackageName } from "../naming/recipe.ts";
import type { Meaning } from "./meaning.ts";

/** A package's attribute, or a set or a package that it lies in. */
export type PackagePattern = (attribute: string) => boolean;

/** An image as a whole: all that it is named by, in whatever order. */
export type ImagePattern = (meaning: Meaning) => boolean;

const PATTERN = /^(?:[A-Za-z0-9_*](?:[A-Za-z0-9._*-]*[A-Za-z0-9_*])?)$/;
const MAX_PATTERN_LENGTH = 255;
/** What is matched may be a client's own invention. */
const MAX_WILDCARDS = 4;

const WORDS: readonly RecipeWord[] = ["fhs", "nonroot"];
const PLATFORMS: readonly string[] = ["amd64", "arm64"];

/** Text is what is wrong with it. */
export function parsePackages(pattern: string): readonly PackagePattern[] | string {
  if (pattern.includes("/")) return "one package is named without a slash";
  return problemOf(pattern) ?? expand(pattern).map(packagePattern);
}

/** Text is what is wrong with it. */
export function parseImage(pattern: string): ImagePattern | string {
  const components = pattern.split("/");
  const problem = components.flatMap((each) => problemOf(each) ?? [])[0];
  if (problem !== undefined) return problem;
  const words = WORDS.filter((word) => components.includes(word));
  const takesAny = components.includes("*");
  const packages = components
    .filter((each) => each !== "*" && !words.some((word) => word === each))
    .flatMap(expand)
    // Every image has them, so that saying so or not is the same.
    .filter((each) => !isImplicit(each as PackageName))
    .map(packagePattern);
  return ({ words: held, named, unknown }) => {
    const all = [...named, ...unknown];
    const hasWords = words.every((word) => held.includes(word));
    const hasPackages = packages.every((matches) => all.some(matches));
    if (takesAny || !hasWords || !hasPackages) return hasWords && hasPackages;
    return (
      held.every((word) => words.includes(word)) &&
      all.every((name) => packages.some((matches) => matches(name)))
    );
  };
}

function problemOf(component: string): string | undefined {
  if (component.length > MAX_PATTERN_LENGTH) return `longer than ${MAX_PATTERN_LENGTH} characters`;
  if (component.split(/\*+/).length > MAX_WILDCARDS + 1)
    return `more than ${MAX_WILDCARDS} times *`;
  if (PLATFORMS.includes(component)) return "a platform has no rules of its own";
  return PATTERN.test(component)
    ? undefined
    : "not a package's name, in which * stands for anything";
}

/** What a front word stands for; else the name itself. */
function expand(component: string): readonly string[] {
  if (component === "shell" || component === "unix") return EXPANSIONS[component];
  return [component];
}

/**
 * Small letters mean an attribute in any case, as in an image name; where there are capitals, exactly
 * that one. What lies in it is meant as well: the outputs of a package, the packages of a set.
 */
function packagePattern(component: string): PackagePattern {
  const attribute = component
    .split(".")
    .map((part) => (isEscaped(part) ? attributeName([readPart(part)]) : part))
    .join(".");
  const isExact = /[A-Z]/.test(attribute);
  const source = attribute.replace(/[.]/g, "\\.").replace(/\*+/g, ".*");
  const matches = new RegExp(`^${source}(?:\\..*)?$`, isExact ? "s" : "si");
  return (name) => matches.test(name);
}
