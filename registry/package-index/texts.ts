// What people search for beside names: of each package of an index its main program, what it is for and its
// other names, a line each. Versions and paths are left out, so that it stays the same where only these
// change.

import { attributePath } from "../naming/attribute.ts";
import { compare } from "../naming/compare.ts";
import type { IndexEntry } from "./shard.ts";

export interface PackageText {
  /** The one that the package is known by. */
  readonly attribute: string;
  readonly program: string | null;
  readonly description: string | null;
  /** Attributes of the same package. */
  readonly others: readonly string[];
}

const HEADER = "nixport texts 1\n";
const MAX_TEXTS_BYTES = 128 * 1024 * 1024;
/** A program that is called as the attribute is. */
const SAME = "=";

/** Of what was found, each once. */
export function textsOf(entries: readonly IndexEntry[]): readonly PackageText[] {
  const others = Map.groupBy(
    entries.filter(({ also }) => also !== undefined),
    ({ also }) => also,
  );
  return entries.flatMap(({ attribute, said, also }) => {
    if (said.kind !== "found" || also !== undefined) return [];
    return [
      {
        attribute,
        program: oneLine(said.mainProgram),
        description: oneLine(said.description),
        others: (others.get(attribute) ?? []).map((each) => each.attribute).sort(compare),
      },
    ];
  });
}

function oneLine(text: string | null): string | null {
  const line =
    text
      ?.toWellFormed()
      .replace(/[\s\p{Cc}]+/gu, " ")
      .trim() ?? "";
  return line === "" ? null : line;
}

export function encodeTexts(texts: readonly PackageText[]): Uint8Array {
  const lines = texts.toSorted((a, b) => compare(a.attribute, b.attribute)).map(textLine);
  return new TextEncoder().encode(HEADER + lines.join(""));
}

function textLine({ attribute, program, description, others }: PackageText): string {
  const written = program === lastPart(attribute) ? SAME : (program ?? "");
  return `${[attribute, written, description ?? "", others.join(" ")].join("\t").trimEnd()}\n`;
}

/** The text of what `encodeTexts` gave; undefined for anything else. */
export function readTexts(bytes: Uint8Array): string | undefined {
  if (bytes.length > MAX_TEXTS_BYTES) return undefined;
  const text = new TextDecoder().decode(bytes);
  return text.startsWith(HEADER) && text.endsWith("\n") ? text : undefined;
}

/** Its lines, each of which `packageText` reads. */
export function textLines(texts: string): readonly string[] {
  return texts
    .slice(HEADER.length, -1)
    .split("\n")
    .filter((line) => line !== "");
}

export function packageText(line: string): PackageText {
  const [attribute = "", program = "", description = "", others = ""] = line.split("\t");
  return {
    attribute,
    program: program === SAME ? lastPart(attribute) : program || null,
    description: description || null,
    others: others === "" ? [] : others.split(" "),
  };
}

function lastPart(attribute: string): string {
  return attributePath(attribute).at(-1) ?? "";
}
