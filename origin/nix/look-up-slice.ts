// One evaluation of thousands of attributes, by their paths: behind everything else, without writing a
// derivation, and told which of them it was at where it ends before its time.

import { randomUUID } from "node:crypto";
import { rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Evaluation, evaluateLookup, type Unanswered } from "./evaluate.ts";

/** Attributes of one set, by the set's path. */
export interface AttributeGroup {
  readonly set: readonly string[];
  readonly names: readonly string[];
}

/** As nix/lookup.nix reads it. */
export interface AskedSlice {
  /** None: which attributes the whole set has. */
  readonly groups: readonly AttributeGroup[];
  /** Sets whose attributes are told too, besides those that ask for it themselves. */
  readonly sets: readonly (readonly string[])[];
  /** A set with more of them is not told. */
  readonly mostNames: number;
  readonly mostDeep: number;
}

export type SliceAnswer =
  /** For `parseSliceAnswers`: on another thread, since it is long. */
  | { readonly kind: "said"; readonly json: string }
  | (Unanswered & { readonly at: AttributePlace | undefined });

/** By the numbers of a group and of a name in it. */
export interface AttributePlace {
  readonly group: number;
  readonly name: number;
}

export interface SliceOptions {
  /** With a message of Nix's where one attribute cannot be told, and all that it needs written. */
  readonly isStrict?: boolean;
}

const AT_ATTRIBUTE = /^trace: attribute (\d+)\.(\d+)$/;

export async function lookUpSlice(
  evaluation: Evaluation,
  asked: AskedSlice,
  { isStrict = false }: SliceOptions = {},
): Promise<SliceAnswer> {
  // An argument has no more than 128 KiB.
  const file = join(tmpdir(), `nixport-slice-${randomUUID()}.json`);
  let at: AttributePlace | undefined;
  try {
    await writeFile(file, JSON.stringify(asked), { mode: 0o600 });
    const answer = await evaluateLookup(evaluation, {
      args: ["--argstr", "slice", file, ...(isStrict ? ["--arg", "strict", "true"] : [])],
      // What lists the set copies it to the store, where it is read from then on.
      isReadOnly: !isStrict && asked.groups.length > 0,
      comesLast: true,
      onStderrLine(line) {
        const told = AT_ATTRIBUTE.exec(line);
        if (told !== null) at = { group: Number(told[1]), name: Number(told[2]) };
      },
    });
    return answer.kind === "said" ? answer : { ...answer, at };
  } finally {
    await rm(file, { force: true });
  }
}
