// Why one package cannot be had, in words for people and as an entry of `detail` for programs. Both
// are bounded, and neither says anything of this host.

import type { LookupFailure, Refusal } from "../image/lookup.ts";
import { isEscaped, readPart } from "../naming/attribute.ts";
import type { PackageName } from "../naming/recipe.ts";
import { cut, publicText } from "./public-text.ts";

/** A builder of the package, or of something it depends on. */
export type BuilderFailure =
  | {
      readonly kind: "build-failed";
      readonly derivation: string;
      readonly reason: string;
      /** The last lines of the builder's log. */
      readonly log: readonly string[];
    }
  | {
      readonly kind: "build-timed-out";
      readonly derivation: string;
      readonly afterMs: number;
      readonly log: readonly string[];
    };

export type PackageFailure =
  | LookupFailure
  | BuilderFailure
  | { readonly kind: "unpackable"; readonly reason: string };

export interface PackageDetail {
  readonly package: string;
  readonly reason: PackageFailure["kind"];
  /** The front word of the name that needs it, where the name does not say the package itself. */
  readonly neededBy?: string;
  /** `missing`, `not-a-package`: names that may have been meant. */
  readonly near?: readonly string[];
  /** `ambiguous`: the attributes that the name may mean, and how an image name says each. */
  readonly meant?: readonly { readonly attribute: string; readonly name: string | null }[];
  /** `not-a-package`: what it is, such as `set`. */
  readonly what?: string;
  /** `unfree`, `broken`, `insecure`, `unsupported`: the package it needs of which that is said. */
  readonly dependency?: string;
  /** `unfree`. */
  readonly licenses?: readonly string[];
  /** `insecure`: why. */
  readonly vulnerabilities?: readonly string[];
  /** `unsupported`: Nix's name of the platform. */
  readonly system?: string;
  /** The settings of NIXPORT_NIXPKGS_CONFIG by which an operator would allow it. */
  readonly allow?: Readonly<Record<string, boolean | readonly string[]>>;
  /** `bad-image`: where in the package set it is wrong. */
  readonly attribute?: string;
  /** `evaluation-failed`, `bad-image`, `build-failed`, `unpackable`: what is wrong. */
  readonly message?: string;
  /** `build-failed`, `build-timed-out`: what failed, the package's own or one it depends on. */
  readonly derivation?: string;
  readonly afterSeconds?: number;
  /** The last lines of the builder's log. */
  readonly log?: readonly string[];
}

/** Lists come from the package set and may be of any length. */
const MAX_ITEMS = 8;
const MAX_ITEM_CHARACTERS = 200;
const MAX_LOG_LINES = 10;

/**
 * One line, and below it, indented, those of a log; at most `most` characters. `name`: of several that
 * one cause has hit, all of them.
 */
export function describePackage(name: string, failure: PackageFailure, most: number): string {
  const first = cut(publicText(explain(name, failure)), most);
  if (failure.kind !== "build-failed" && failure.kind !== "build-timed-out") return first;
  const log = lastLines(failure.log, most - first.length);
  return [first, ...log.map((line) => `  ${line}`)].join("\n");
}

export function packageDetail(
  name: PackageName,
  failure: PackageFailure,
  most: number,
): PackageDetail {
  return { package: name, reason: failure.kind, ...facts(failure, most) };
}

type Facts = Omit<PackageDetail, "package" | "reason" | "neededBy">;

function facts(failure: PackageFailure, most: number): Facts {
  const text = (value: string) => cut(publicText(value), most);
  switch (failure.kind) {
    case "missing":
      return { near: items(failure.near) };
    case "ambiguous":
      return {
        meant: failure.meant.slice(0, MAX_ITEMS).map(({ attribute, name }) => ({
          attribute: items([attribute]).join(),
          name: name === null ? null : items([name]).join(),
        })),
      };
    case "not-a-package":
      return { what: failure.what, near: items(failure.near) };
    case "unfree":
      return {
        ...needed(failure),
        licenses: items(failure.licenses),
        allow: { allowUnfree: true },
      };
    case "broken":
      return { ...needed(failure), allow: { allowBroken: true } };
    case "insecure": {
      const vulnerabilities = items(failure.vulnerabilities);
      return { ...needed(failure), vulnerabilities, ...permitted(failure.name) };
    }
    case "unsupported":
      return { ...needed(failure), system: failure.system };
    case "evaluation-failed":
      return { message: text(failure.message) };
    case "bad-image":
      return { attribute: text(failure.attribute), message: text(failure.reason) };
    case "build-failed": {
      const { derivation, reason } = failure;
      return { derivation, message: text(reason), log: lastLines(failure.log, most) };
    }
    case "build-timed-out": {
      const afterSeconds = Math.round(failure.afterMs / 1000);
      return {
        derivation: failure.derivation,
        afterSeconds,
        log: lastLines(failure.log, most),
      };
    }
    case "unpackable":
      return { message: text(failure.reason) };
    default:
      return failure satisfies never;
  }
}

function explain(name: string, failure: PackageFailure): string {
  const listed = (values: readonly string[]) => items(values).join(", ");
  switch (failure.kind) {
    case "missing":
      return `no package ${name}${suggest(failure.near)}`;
    case "ambiguous": {
      const meant = failure.meant.slice(0, MAX_ITEMS).map(meaning);
      return `${name} may be ${meant.join(", or ")}: write the one that is meant`;
    }
    case "not-a-package":
      return `${name} is a ${failure.what}, not a package${suggest(failure.near)}`;
    case "unfree": {
      const licenses = listed(failure.licenses) || "not named";
      return `${refusedOf(name, failure)} has an unfree licence (${licenses}), ${refused({ allowUnfree: true })}`;
    }
    case "broken":
      return `${refusedOf(name, failure)} is marked broken, ${refused({ allowBroken: true })}`;
    case "insecure": {
      const why = listed(failure.vulnerabilities) || "why is not said";
      return `${refusedOf(name, failure)} is marked insecure (${why}), ${refused(permitted(failure.name).allow)}`;
    }
    case "unsupported":
      return `${refusedOf(name, failure)} does not support ${failure.system}`;
    case "evaluation-failed":
      return `${name} cannot be evaluated: ${failure.message}`;
    case "bad-image":
      return `${name} is an image that is defined wrongly: ${failure.attribute}: ${failure.reason}`;
    case "build-failed": {
      const { derivation, reason } = failure;
      // Newer Nix gives the reason without the derivation.
      const where = reason.includes(derivation) ? "" : `${derivation}: `;
      return `${name} cannot be built: ${where}${reason}`;
    }
    case "build-timed-out": {
      const afterSeconds = Math.round(failure.afterMs / 1000);
      return `${name} cannot be built: ${failure.derivation} was stopped after ${afterSeconds} s, the time that one builder has`;
    }
    case "unpackable":
      return `${name} cannot be put into a layer: ${failure.reason}`;
    default:
      return failure satisfies never;
  }
}

/** The subject of what is said of a refused package. */
function refusedOf(name: string, { dependency }: Refusal): string {
  return dependency === undefined ? name : `${name} needs ${items([dependency])}, which`;
}

function needed({ dependency }: Refusal): Pick<PackageDetail, "dependency"> {
  return dependency === undefined ? {} : { dependency: items([dependency]).join() };
}

function permitted(name: string | null): Pick<Required<PackageDetail>, "allow"> {
  return { allow: { permittedInsecurePackages: name === null ? [] : items([name]) } };
}

function refused(allow: Required<PackageDetail>["allow"]): string {
  return `which this registry refuses; its operator could allow it with NIXPORT_NIXPKGS_CONFIG=${JSON.stringify(allow)}`;
}

function suggest(near: readonly string[]): string {
  if (near.length === 0) return "";
  const names = near.slice(0, MAX_ITEMS).map((name) => items([name]).join() + saidBy(name));
  return ` (did you mean ${names.join(", ")}?)`;
}

/** What a name with an escape stands for, since nobody can read that. */
function saidBy(name: string): string {
  return isEscaped(name)
    ? `, which is ${items([name.split(".").map(readPart).join(".")]).join()}`
    : "";
}

function meaning({ attribute, name }: { attribute: string; name: string | null }): string {
  const shown = items([attribute]).join();
  return name === null
    ? `${shown}, which no image name can say`
    : `${shown} (written ${items([name]).join()})`;
}

function items(values: readonly string[]): readonly string[] {
  return values.slice(0, MAX_ITEMS).map((value) => cut(publicText(value), MAX_ITEM_CHARACTERS));
}

/** The last lines that fit; of a line the beginning, so that no path loses its own. */
function lastLines(log: readonly string[], most: number): readonly string[] {
  const lines: string[] = [];
  let left = most;
  for (const line of log.slice(-MAX_LOG_LINES).toReversed()) {
    const shown = cut(publicText(line), MAX_ITEM_CHARACTERS).trimEnd();
    left -= shown.length + 3;
    if (left < 0) break;
    if (shown !== "") lines.unshift(shown);
  }
  return lines;
}
