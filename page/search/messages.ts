// What the page and its worker tell each other.

import type { FoundPackage } from "./corpus.ts";

export type Asked =
  /** The addresses of an index's names and texts. */
  | { readonly kind: "load"; readonly names: string; readonly texts: string }
  | { readonly kind: "search"; readonly query: string };

export type Told =
  | { readonly kind: "ready"; readonly count: number }
  | { readonly kind: "failed" }
  | {
      readonly kind: "found";
      /** Of the last that was asked: those before it that were not begun are passed over. */
      readonly query: string;
      readonly packages: readonly FoundPackage[];
      readonly count: number;
    };
