// What a package says belongs with it, in the lists that nixpkgs' builders leave in `nix-support` for
// whoever puts packages together.

import { parseStorePath, type StorePath } from "../../registry/naming/store-path.ts";
import type { ClosureFiles } from "./closure-files.ts";

const LISTS = {
  /** What nix-env and nix profile install with it: perl's modules name those that they need. */
  environment: "nix-support/propagated-user-env-packages",
  /** What a build needs that has it for an input: Python's modules name theirs here alone. */
  build: "nix-support/propagated-build-inputs",
} as const;

/** All that the lists of one kind lead to from some paths, nearest first, without these. */
export function propagatedBy(
  files: ClosureFiles,
  roots: readonly StorePath[],
  kind: keyof typeof LISTS,
): readonly StorePath[] {
  const reached = new Set(roots);
  // A Set is walked in the order of insertion, and what is added during the walk is walked too.
  for (const path of reached) {
    const list = files.resolve(`${path}/${LISTS[kind]}`);
    if (list === undefined || list.kind === "directory") continue;
    for (const word of files.words(list.path)) {
      const named = parseStorePath(word);
      // What builds need and images lack is no concern of theirs.
      if (named !== undefined && files.resolve(named) !== undefined) reached.add(named);
    }
  }
  for (const root of roots) reached.delete(root);
  return [...reached];
}
