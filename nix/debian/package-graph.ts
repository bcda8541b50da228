// The graph that is resolved out of apt's index: what becomes one store path, and what it depends on.

import type { DebianPackage } from "./apt-index.ts";

export interface ResolvedPackage {
  readonly name: string; // with the version, as in the store
  readonly version: string;
  readonly dependencies: readonly string[];
  readonly shell: boolean;
  readonly interpreter?: string; // the key of the one whose module it is
  // The keys that it stands for besides its own, where they depended on one another in a circle.
  readonly merged?: readonly string[];
  readonly members: readonly DebianPackage[]; // the one that gives version and description first
}

export type Packages = Readonly<Record<string, ResolvedPackage>>;

/** Before it is known which of them have scripts for the shell. */
export type Unshelled = Readonly<Record<string, Omit<ResolvedPackage, "shell">>>;
