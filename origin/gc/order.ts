// In which order collections are swept: what names before what is named, the reverse of writing.

import type { Collection } from "../storage/keys.ts";

/** Behind these there is a second look at what has been stored meanwhile. */
export const NAMES = ["pulls", "pushed", "index", "lookups", "manifests", "records"] as const;
export const NAMED = [
  "builds",
  "segments",
  "layers",
  "makings",
  "asked",
  "pins",
  "tracked",
  "index-objects",
  "index-slices",
] as const;

type Rest = Exclude<Collection, (typeof NAMES)[number] | (typeof NAMED)[number]>;

/** What goes by itself when it is of no use, or is one small file for each source. */
export const NEVER_SWEPT = Object.keys({
  answered: true,
  outbox: true,
  pinned: true,
  popularity: true,
} satisfies Record<Rest, true>) as readonly Rest[];
