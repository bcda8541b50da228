// Whether an origin makes package indexes by itself, and of which sets besides those that ask for it.

import { MAX_PARTS } from "../../registry/naming/recipe.ts";
import type { Variables } from "./variables.ts";

export interface IndexSettings {
  /** Null: as fits the machine. */
  readonly isIndexed: boolean | null;
  /** By their paths. */
  readonly indexSets: readonly (readonly string[])[];
}

const MAX_SETS = 64;

export function readIndexSettings({ text, problem }: Variables): IndexSettings {
  const said = text("NIXPORT_INDEX");
  if (said !== undefined && said !== "on" && said !== "off") {
    problem(`NIXPORT_INDEX is ${JSON.stringify(said)}: on or off`);
  }
  const named = (text("NIXPORT_INDEX_SETS") ?? "").split(/[\s,]+/).filter((name) => name !== "");
  const indexSets = named.map((name) => name.split("."));
  const wrong = named.find((_, at) => !isPath(indexSets[at] ?? []));
  if (wrong !== undefined) {
    problem(
      `NIXPORT_INDEX_SETS names ${JSON.stringify(wrong.slice(0, 100))}: attributes joined by dots, such as python3Packages`,
    );
  }
  if (named.length > MAX_SETS) {
    problem(`NIXPORT_INDEX_SETS names ${named.length} sets; ${MAX_SETS} are allowed`);
  }
  return { isIndexed: said === undefined ? null : said === "on", indexSets };
}

function isPath(parts: readonly string[]): boolean {
  return parts.length <= MAX_PARTS && parts.every((part) => /^[!-~]+$/.test(part));
}
