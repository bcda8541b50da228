// Which Nix a package source needs, as far as that shows before it is fetched.

import { isOlder, OLDEST_NIX, readNeededNix } from "../nix/version.ts";
import { isCommit, type Source } from "./source.ts";

export interface Need {
  readonly version: string;
  /** A set that has not been fetched may need less than is usual. */
  readonly isKnown: boolean;
}

/** What the branches of nixpkgs have needed since 2025. */
const USUAL_FOR_NIXPKGS = "2.18";

/** The oldest Nix that a source needs. */
export async function neededBy(source: Source): Promise<Need> {
  // A commit may be of any age.
  if (source.kind === "nixpkgs" && !isCommit(source.channel)) {
    return { version: USUAL_FOR_NIXPKGS, isKnown: false };
  }
  const said = source.kind === "path" ? await readNeededNix(source.path) : undefined;
  return {
    version: said === undefined || isOlder(said, OLDEST_NIX) ? OLDEST_NIX : said,
    isKnown: true,
  };
}
