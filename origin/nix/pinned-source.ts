// A package source at one immutable revision, in the shape that nix/source.nix reads.

import type { StorePath } from "../../registry/naming/store-path.ts";
import type { NixpkgsConfig } from "./nixpkgs-config.ts";

export type PinnedSource = Revision & {
  /** For a package set that takes one, as nixpkgs does; absent where it is empty. */
  readonly config?: NixpkgsConfig;
  /** Where the files lie in the store, once they were fetched; never stored nor part of a pin. */
  readonly files?: StorePath;
};

export type Revision =
  /** `path` is absolute and without symbolic links; `narHash` is `sha256-<base64>` of it without a
   * top-level `.git`. A single file must not import its neighbours, which are not pinned with it. */
  | { readonly kind: "path"; readonly path: string; readonly narHash: string }
  /** `url` such as `https://github.com/NixOS/nixpkgs`, without a final slash. */
  | { readonly kind: "nixpkgs"; readonly url: string; readonly commit: string }
  /** `ref` in full, such as `refs/heads/main`: newer Nix takes a short one for a branch.
   * `shallow`: the repository holds that commit alone, without its history. */
  | {
      readonly kind: "git";
      readonly url: string;
      readonly commit: string;
      readonly ref?: string;
      readonly shallow?: true;
    }
  /** `url` is locked: it has a revision or a hash of the content in it. */
  | { readonly kind: "flake"; readonly url: string };

/** What Nix must be allowed to load it, whatever the host's configuration says. */
export function featureOptions({ kind }: PinnedSource): readonly string[] {
  return kind === "flake" ? ["--extra-experimental-features", "flakes"] : [];
}
