// Which version of Nix a source needs, and how versions compare.

import type { Source } from "../sources/source.ts";

export interface NeededNix {
  readonly version: string;
  /** Who needs it, in words that a version follows. */
  readonly who: string;
}

/** What lookup.nix itself is known to work with. */
const OWN_FLOOR = "2.8";
/** What nixpkgs' lib/minver.nix has said for years. */
const NIXPKGS_FLOOR = "2.18";

export function neededNix(source: Source | null): NeededNix {
  return source?.kind === "nixpkgs"
    ? { version: NIXPKGS_FLOOR, who: "nixpkgs" }
    : { version: OWN_FLOOR, who: "nixport" };
}

export function isAtLeast(version: string, least: string): boolean {
  const [own, wanted] = [version, least].map((text) => text.split(".").map(Number));
  for (const [place, number] of (wanted ?? []).entries()) {
    const difference = (own?.[place] ?? 0) - number;
    if (difference !== 0) return difference > 0;
  }
  return true;
}
