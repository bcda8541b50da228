// The `.narinfo` files of a binary cache, of which only a path's references matter here.

import { parseStorePath, type StorePath } from "../../registry/naming/store-path.ts";

export interface Narinfo {
  readonly path: StorePath;
  /** Without the path itself, in the file's order. */
  readonly references: readonly StorePath[];
}

/** What Nix writes into each; a file without one of them is cut off, or none of Nix's. */
const REQUIRED = ["StorePath", "URL", "NarHash", "NarSize", "References"];

/** The reason, in words, where the text is no whole narinfo file of the path. */
export function parseNarinfo(text: string, wanted: StorePath): Narinfo | string {
  // A file that a connection or a proxy has cut short seldom ends with a line.
  if (!text.endsWith("\n")) return "does not end with a line";
  const fields = new Map<string, string>();
  for (const line of text.split("\n")) {
    const colon = line.indexOf(":");
    if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  const absent = REQUIRED.filter((name) => !fields.has(name));
  if (absent.length > 0) return `has no ${absent.join(", ")}`;
  if (fields.get("StorePath") !== wanted) return "is of another store path";
  const references: StorePath[] = [];
  for (const base of (fields.get("References") ?? "").split(" ")) {
    if (base === "") continue;
    const reference = parseStorePath(`/nix/store/${base}`);
    if (reference === undefined) return `refers to ${JSON.stringify(base.slice(0, 100))}`;
    if (reference !== wanted) references.push(reference);
  }
  return { path: wanted, references };
}
