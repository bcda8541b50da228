// What all spellings of one attribute share, so that whoever looks a name up finds in one place all that it
// may mean: small letters, and no underscore before a digit that begins a part.

import { attributePath, exactSpelling } from "../naming/attribute.ts";
import { MAX_NAME_LENGTH } from "../naming/recipe.ts";

/** Of an attribute, or of what a part of a name says (`readPart`). */
export function foldPart(part: string): string {
  return part.toLowerCase().replace(/^_(?=[0-9])/, "");
}

export function foldPath(path: readonly string[]): string {
  return path.map(foldPart).join(".");
}

/** Of a path as `attributeName` writes it. */
export function foldAttribute(attribute: string): string {
  return foldPath(attributePath(attribute));
}

/** Whether any image name can say it: what none can is in no index. */
export function canBeNamed(path: readonly string[]): boolean {
  const parts = path.map(exactSpelling);
  return !parts.includes(null) && parts.join(".").length <= MAX_NAME_LENGTH;
}
