// The parts that an image wants records of, and who is told what of those that cannot be had: a part
// may be several packages, and one derivation may be named twice.

import { outputPathsOf } from "../../registry/image/lookup.ts";
import {
  type Ingredient,
  ownersOf,
  type Part,
  packagesIn,
  partsOf,
} from "../../registry/image/part.ts";
import type { Form, PackageRecord } from "../../registry/image/record.ts";
import type { PackageName } from "../../registry/naming/recipe.ts";
import type { StorePath } from "../../registry/naming/store-path.ts";
import type { HoldFailure, WantedPath } from "./held-paths.ts";

export interface WantedPart {
  readonly part: Part;
  readonly form: Form;
  /** Its outputs. */
  readonly paths: readonly WantedPath[];
}

export type PartResult =
  | { readonly kind: "record"; readonly record: PackageRecord }
  | { readonly kind: "failed"; readonly failures: readonly PartFailure[] };

export interface PartFailure {
  /** Null where the part failed as a whole. */
  readonly derivation: string | null;
  readonly failure: RecordFailure;
}

export interface NamedFailure {
  readonly name: PackageName;
  readonly failure: RecordFailure;
}

export type RecordFailure =
  | HoldFailure
  | { readonly kind: "unpackable"; readonly reason: string }
  | { readonly kind: "too-large"; readonly sizeBytes: number; readonly limitBytes: number };

export function wantedParts(ingredients: readonly Ingredient[], form: Form): readonly WantedPart[] {
  const wantedPaths = new Map<StorePath, WantedPath>();
  for (const { derivation, outputs } of packagesIn(ingredients)) {
    for (const { name, path } of outputs) {
      wantedPaths.set(path, { derivation, output: name, storePath: path });
    }
  }
  return partsOf(ingredients).map((part) => ({
    ...{ part, form },
    paths: part.outputs.flatMap((path) => wantedPaths.get(path) ?? []),
  }));
}

/** What is known of a part's derivations, each once. */
export function failuresIn(
  { paths }: WantedPart,
  failureOf: (derivation: string) => RecordFailure | undefined,
): readonly PartFailure[] {
  return [...new Set(paths.map(({ derivation }) => derivation))].flatMap((derivation) => {
    const failure = failureOf(derivation);
    return failure === undefined ? [] : [{ derivation, failure }];
  });
}

export function failedAsWhole(failure: RecordFailure): PartResult {
  return { kind: "failed", failures: [{ derivation: null, failure }] };
}

/** Everybody who named what failed; of a part as a whole, whose output it is, if that can be told. */
export function named(
  { derivation, failure }: PartFailure,
  { part }: WantedPart,
  ingredients: readonly Ingredient[],
): readonly NamedFailure[] {
  if (derivation !== null) {
    return ingredients
      .filter((each) => packagesIn([each]).some((one) => one.derivation === derivation))
      .map(({ name }) => ({ name, failure }));
  }
  const owners = ownersOf(part, ingredients);
  const culprit = owners.find(
    ({ found }) =>
      failure.kind === "unpackable" &&
      outputPathsOf(found).some((path) => failure.reason.startsWith(path)),
  );
  const owner = culprit ?? owners[0];
  return owner === undefined ? [] : [{ name: owner.name, failure }];
}
