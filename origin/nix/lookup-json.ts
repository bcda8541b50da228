// The JSON of nix/lookup.nix, field by field, and how it becomes a Lookup.

import * as v from "valibot";
import type { Lookup } from "../../registry/lookup.ts";
import { parseStorePath, type StorePath } from "../../registry/store-path.ts";
import { exampleNames, nearNames } from "./near-names.ts";

/** `failed`: an error was caught, and its message is only known to an evaluation that ends with it. */
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

const said = v.variant("kind", [
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

const document = v.object({
  lookups: v.array(said),
  // A Map, because a package set may well have an attribute named `__proto__`.
  members: v.pipe(
    v.custom<object>((value) => typeof value === "object" && value !== null),
    v.transform((value) => new Map<string, unknown>(Object.entries(value))),
    v.map(v.string(), v.array(v.string())),
  ),
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
    default:
      return answer;
  }
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
