// The JSON of nix/lookup.nix, field by field, and how it becomes a Lookup.

import * as v from "valibot";
import { describePackage } from "../../registry/failures/failed-package.ts";
import { cut } from "../../registry/failures/public-text.ts";
import { parseImageConfig } from "../../registry/image/image-config.ts";
import {
  type FoundPackage,
  type Lookup,
  MAX_IMAGE_CONTENTS,
  webAddress,
} from "../../registry/image/lookup.ts";
import { attributeName, exactSpelling, readPart } from "../../registry/naming/attribute.ts";
import type { PackageName } from "../../registry/naming/recipe.ts";
import { parseStorePath, type StorePath } from "../../registry/naming/store-path.ts";
import { exampleNames, nearNames } from "../../registry/package-index/near-names.ts";
import { meaningsOf, spelledMembers } from "../../registry/package-index/spelling.ts";

/**
 * `failed`: an error was caught, and its message is only known to an evaluation that ends with it.
 */
export type LookupAnswer = Lookup | { readonly kind: "failed" };

const path = v.array(v.string());

const found = v.object({
  kind: v.literal("found"),
  /** A path in the package set; a text of what lies in none that is known. */
  attribute: v.union([v.string(), path]),
  derivation: v.string(),
  outputs: v.pipe(v.array(v.object({ name: v.string(), path: v.string() })), v.minLength(1)),
  name: v.string(),
  version: v.nullable(v.string()),
  description: v.nullable(v.string()),
  licenses: v.array(v.string()),
  mainProgram: v.nullable(v.string()),
  homepage: v.nullable(v.string()),
});

const saidOfPackage = v.variant("kind", [
  found,
  v.object({ kind: v.literal("missing"), within: path, component: v.string() }),
  v.object({ kind: v.literal("ambiguous"), attributes: v.array(path) }),
  v.object({ kind: v.literal("detour"), steps: v.array(v.number()) }),
  v.object({ kind: v.literal("not-a-package"), what: v.string(), attribute: path }),
  v.object({ kind: v.literal("unfree"), licenses: v.array(v.string()) }),
  v.object({ kind: v.literal("broken") }),
  v.object({
    kind: v.literal("insecure"),
    vulnerabilities: v.array(v.string()),
    name: v.nullable(v.string()),
  }),
  v.object({ kind: v.literal("unsupported"), system: v.string() }),
  v.object({ kind: v.literal("failed") }),
]);

const image = v.object({
  kind: v.literal("image"),
  attribute: v.string(),
  contents: v.array(v.object({ name: v.string(), said: saidOfPackage })),
  config: v.unknown(),
});
const badImage = v.object({
  kind: v.literal("bad-image"),
  attribute: v.string(),
  reason: v.string(),
});
const said = v.variant("kind", [image, badImage, ...saidOfPackage.options]);

const document = v.object({
  lookups: v.array(said),
  members: v.array(v.object({ within: path, names: v.array(v.string()) })),
});

const MAX_REASON_CHARACTERS = 1000;

const documentWithImage = v.object({
  ...document.entries,
  image: v.variant("kind", [image, badImage]),
});

/** The names of a set's attributes, by the path that led to it. */
type Members = (within: readonly string[]) => readonly string[];

function membersOf(sets: v.InferOutput<typeof document>["members"]): Members {
  const names = new Map(sets.map((set) => [JSON.stringify(set.within), set.names]));
  return (within) => names.get(JSON.stringify(within)) ?? [];
}

/** One answer for each name asked, in that order. */
export function parseLookupAnswers(
  json: unknown,
  names: readonly string[],
): readonly LookupAnswer[] {
  const { lookups, members } = v.parse(document, json);
  if (lookups.length !== names.length) {
    throw new Error(`lookup.nix answered ${lookups.length} names instead of ${names.length}`);
  }
  const known = membersOf(members);
  return lookups.map((answer, index) => answerOf(answer, names[index] ?? "", known));
}

const sliceDocument = v.object({
  lookups: v.array(v.variant("kind", saidOfPackage.options)),
  sets: v.array(v.object({ path, isListed: v.boolean(), names: v.array(v.string()) })),
  images: v.array(v.string()),
  top: v.array(v.string()),
});

export interface SliceOfSet {
  readonly entries: readonly SaidOfAttribute[];
  /** Those that are no packages. */
  readonly sets: readonly FoundSet[];
  /** The attributes of `nixportImages`. */
  readonly images: readonly string[];
  /** Where no attribute was asked for: all of the whole set. */
  readonly top: readonly string[];
}

export interface SaidOfAttribute {
  readonly path: readonly string[];
  readonly said: LookupAnswer;
}

export interface FoundSet {
  readonly path: readonly string[];
  /** Whether `names` are all of it. */
  readonly isListed: boolean;
  readonly names: readonly string[];
}

/** What lookup.nix says of attributes by their paths, in the order in which they were asked. */
export function parseSliceAnswers(
  json: unknown,
  paths: readonly (readonly string[])[],
): SliceOfSet {
  const { lookups, sets, images, top } = v.parse(sliceDocument, json);
  if (lookups.length !== paths.length) {
    throw new Error(`lookup.nix answered ${lookups.length} attributes instead of ${paths.length}`);
  }
  const known = membersOf(sets.map(({ path: within, names }) => ({ within, names })));
  const entries = lookups.map((answer, index): SaidOfAttribute => {
    const of = paths[index] ?? [];
    return { path: of, said: answerOf(answer, of.map(plainSpelling).join("."), known) };
  });
  return { entries, sets, images, top };
}

/** As most people write it, whether or not another attribute is spelled like that. */
function plainSpelling(attribute: string): string {
  const lower = attribute.toLowerCase();
  return exactSpelling(lower) === lower ? lower : (exactSpelling(attribute) ?? attribute);
}

/** What is said of an image that the caller gave itself. */
export function parseGivenImage(json: unknown): LookupAnswer {
  const { image: given, members } = v.parse(documentWithImage, json);
  return answerOf(given, "", membersOf(members));
}

/** As many as lookup.nix gives; where there are more, not all of them are known. */
const MAX_MEANINGS = 8;

function answerOf(
  answer: v.InferOutput<typeof said>,
  asked: string,
  members: Members,
): LookupAnswer {
  const parts = asked.split(".");
  switch (answer.kind) {
    case "found":
      return foundPackage(answer);
    case "missing": {
      const all = members(answer.within);
      const near = nearNames(readPart(answer.component), all);
      const prefix = parts.slice(0, answer.within.length);
      return { kind: "missing", near: spelledMembers(near, all, prefix, asked) };
    }
    case "detour":
      return { kind: "missing", near: [answer.steps.map((step) => parts[step]).join(".")] };
    case "ambiguous": {
      const paths = answer.attributes.slice(0, MAX_MEANINGS);
      const meant = meaningsOf(paths, parts, answer.attributes.length <= MAX_MEANINGS);
      return { kind: "ambiguous", meant };
    }
    case "not-a-package": {
      const all = members(answer.attribute);
      const near = spelledMembers(exampleNames(all), all, parts, asked);
      return { kind: "not-a-package", what: answer.what, near };
    }
    case "unfree":
      return { ...answer, licenses: cutAll(answer.licenses) };
    case "insecure": {
      const { vulnerabilities, name } = answer;
      return { ...answer, vulnerabilities: cutAll(vulnerabilities), name: cutKnown(name) };
    }
    case "bad-image": {
      const attribute = cut(answer.attribute, MAX_ATTRIBUTE_CHARACTERS);
      return { ...answer, attribute, reason: cut(answer.reason, MAX_REASON_CHARACTERS) };
    }
    case "image":
      return foundImage(answer, members);
    default:
      return answer;
  }
}

/** An image whose contents cannot all be had is none, and says which of them it is. */
function foundImage(
  { attribute, contents, config }: v.InferOutput<typeof image>,
  members: Members,
): LookupAnswer {
  const wrong = (place: string, reason: string): LookupAnswer => ({
    kind: "bad-image",
    attribute: `${attribute}.${place}`,
    reason: cut(reason, MAX_REASON_CHARACTERS),
  });
  if (contents.length > MAX_IMAGE_CONTENTS) {
    return wrong("contents", `${contents.length} are more than ${MAX_IMAGE_CONTENTS}`);
  }
  const packages: FoundPackage[] = [];
  for (const content of contents) {
    const answer = answerOf(content.said, content.name, members);
    if (answer.kind === "failed") return answer;
    if (answer.kind === "image") throw new Error("an image inside an image");
    if (answer.kind !== "found") {
      const name = content.name as PackageName;
      return wrong("contents", describePackage(name, answer, MAX_REASON_CHARACTERS));
    }
    packages.push(answer);
  }
  const parsed = parseImageConfig(config);
  return parsed.kind === "invalid"
    ? wrong("config", parsed.reason)
    : { kind: "image", attribute, contents: packages, config: parsed.config };
}

/** As long as the name of a store path may be; nothing more is told of a package in labels and logs. */
const MAX_NAME_CHARACTERS = 211;
const MAX_VERSION_CHARACTERS = 100;
const MAX_DESCRIPTION_CHARACTERS = 1000;
/** An edge reads no lookup with a longer one. */
const MAX_ATTRIBUTE_CHARACTERS = 512;

function foundPackage(answer: v.InferOutput<typeof found>): Lookup {
  const outputs: { readonly name: string; readonly path: StorePath }[] = [];
  for (const { name, path: text } of answer.outputs) {
    const path = parseStorePath(text);
    if (path === undefined) {
      // A content-addressed derivation has a placeholder here until it is built.
      const message = "the store path of its output is not known before it is built";
      return { kind: "evaluation-failed", message };
    }
    outputs.push({ name, path });
  }
  const { attribute, version, description, mainProgram, homepage } = answer;
  return {
    ...answer,
    attribute:
      typeof attribute === "string"
        ? cut(attribute, MAX_ATTRIBUTE_CHARACTERS)
        : attributeName(attribute),
    outputs,
    name: cut(answer.name, MAX_NAME_CHARACTERS),
    version: cutKnown(version, MAX_VERSION_CHARACTERS),
    description: cutKnown(description, MAX_DESCRIPTION_CHARACTERS),
    licenses: cutAll(answer.licenses),
    mainProgram: cutKnown(mainProgram),
    homepage: webAddress(homepage),
  };
}

function cutKnown(text: string | null, most = MAX_NAME_CHARACTERS): string | null {
  return text === null ? null : cut(text, most);
}

/** lookup.nix gives no more of a list than some dozens. */
function cutAll(texts: readonly string[]): readonly string[] {
  return texts.map((text) => cut(text, MAX_NAME_CHARACTERS));
}
