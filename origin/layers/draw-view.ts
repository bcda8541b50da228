// The view of a part as layers and records take it: its links as tar, and what is to be said of them. Its
// files are looked at one after another, which of a package with many takes a second: whoever has others
// waiting has it drawn in a thread (view-thread.ts).

import type { Part } from "../../registry/image/part.ts";
import type { StorePath } from "../../registry/naming/store-path.ts";
import type { ValidClosure } from "./closure.ts";
import { archiveEntries } from "./entries.ts";
import { nixDatabase } from "./nix-database.ts";
import { readPartView } from "./part-view.ts";
import type { PackageView } from "./view.ts";

export interface ViewToDraw {
  readonly part: Part;
  /** All that the part needs, and its outputs. */
  readonly closure: readonly StorePath[];
  /** Of a part that is a database of Nix: what it tells of. */
  readonly database: ValidClosure | null;
}

export interface DrawnView extends Omit<PackageView, "entries"> {
  /** Null where there is nothing to link. */
  readonly tar: Uint8Array | null;
}

export type DrawResult =
  | { readonly kind: "view"; readonly view: DrawnView }
  | { readonly kind: "unfit"; readonly reason: string };

/** The store paths must be valid and held until it is drawn. */
export type DrawView = (wanted: ViewToDraw) => Promise<DrawResult>;

/** For whoever has nobody else waiting. */
export function drawHere(storeDirectory: string): DrawView {
  return async (wanted) => drawView(wanted, storeDirectory);
}

export function drawView(
  { part, closure, database }: ViewToDraw,
  storeDirectory: string,
): DrawResult {
  const result = readPartView(part, closure, storeDirectory);
  if (result.kind === "unfit") return result;
  const { entries: links, ...facts } = result.view;
  const entries = database === null ? links : nixDatabase(database, part.outputs);
  return { kind: "view", view: { ...facts, tar: entries && archiveEntries(entries) } };
}
