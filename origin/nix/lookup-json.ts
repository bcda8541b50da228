// The JSON of nix/lookup.nix, field by field, and how it becomes a Lookup.

import * as v from "valibot";
import { parseImageConfig } from "../../registry/image/image-config.ts";
import { type FoundPackage, type Lookup, MAX_IMAGE_CONTENTS } from "../../registry/image/lookup.ts";
import type { PackageName } from "../../registry/naming/recipe.ts";
import { parseStorePath, type StorePath } from "../../registry/naming/store-path.ts";
import { describePackage } from "../words/failed-package.ts";
import { exampleNames, nearNames } from "./near-names.ts";

/**
 * `failed`: an error was caught, and its message is only known to an evaluation that ends with it.
 */
export type LookupAnswer = Lookup | { readonly kind: "failed" };

const found = v.object({
  kind: v.literal("found"),
  attribute: v.string(),
  derivation: v.string(),
  outputs: v.pipe(v.array(v.object({ name: v.string(), path: v.string() })), v.minLength(1)),
  name: v.string(),
  version: v.nullable(v.string()),
  description: v.nullable(v.string()),
  licenses: v.array(v.string()),
  mainProgram: v.nullable(v.string()),
});

const saidOfPackage = v.variant("kind", [
  found,
  v.object({ kind: v.literal("missing"), within: v.string(), component: v.string() }),
  v.object({ kind: v.literal("not-a-package"), what: v.string(), attribute: v.string() }),
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
  // A Map, because a package set may well have an attribute named `__proto__`.
  members: v.pipe(
    v.custom<object>((value) => typeof value === "object" && value !== null),
    v.transform((value) => new Map<string, unknown>(Object.entries(value))),
    v.map(v.string(), v.array(v.string())),
  ),
});

const MAX_REASON_CHARACTERS = 1000;

const documentWithImage = v.object({
  ...document.entries,
  image: v.variant("kind", [image, badImage]),
});

type Members = ReadonlyMap<string, readonly string[]>;

/** One answer for each name asked, in that order. */
export function parseLookupAnswers(json: unknown, count: number): readonly LookupAnswer[] {
  const { lookups, members } = v.parse(document, json);
  if (lookups.length !== count) {
    throw new Error(`lookup.nix answered ${lookups.length} names instead of ${count}`);
  }
  return lookups.map((answer) => answerOf(answer, members));
}

/** What is said of an image that the caller gave itself. */
export function parseGivenImage(json: unknown): LookupAnswer {
  const { image: given, members } = v.parse(documentWithImage, json);
  return answerOf(given, members);
}

function answerOf(answer: v.InferOutput<typeof said>, members: Members): LookupAnswer {
  switch (answer.kind) {
    case "found":
      return foundPackage(answer);
    case "missing": {
      const prefix = answer.within === "" ? "" : `${answer.within}.`;
      const near = nearNames(answer.component, members.get(answer.within) ?? []);
      return { kind: "missing", near: near.map((name) => prefix + name) };
    }
    case "not-a-package": {
      const examples = exampleNames(members.get(answer.attribute) ?? []);
      const near = examples.map((name) => `${answer.attribute}.${name}`);
      return { kind: "not-a-package", what: answer.what, near };
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
  const wrong = (place: string, reason: string): LookupAnswer => {
    return { kind: "bad-image", attribute: `${attribute}.${place}`, reason };
  };
  if (contents.length > MAX_IMAGE_CONTENTS) {
    return wrong("contents", `${contents.length} are more than ${MAX_IMAGE_CONTENTS}`);
  }
  const packages: FoundPackage[] = [];
  for (const content of contents) {
    const answer = answerOf(content.said, members);
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
  return { ...answer, outputs };
}
