// The Nix that is brought where the machine's own is too old: one store path for each platform, in
// the cache that every Nix asks by default, and signed by its key.
//
// To renew it: nixpkgs keeps the store paths of its stable Nix in
// `nixos/modules/installer/tools/nix-fallback-paths.nix`. Take both paths from one revision of it,
// and look that `nix path-info --store https://cache.nixos.org` knows them. The version is what
// `nix --version` answers there; a set that needs a newer one is refused without asking any cache.

import type { System } from "../../registry/naming/recipe.ts";

export interface PinnedNix {
  readonly version: string;
  readonly paths: Readonly<Record<System, string>>;
}

export const PINNED_NIX: PinnedNix = {
  version: "2.31.2",
  paths: {
    "x86_64-linux": "/nix/store/x30lnlgk1s16rynrfslbf8phr6h6rqf2-nix-2.31.2",
    "aarch64-linux": "/nix/store/xnybj9lk0kwvmr2va253avanq7m3cpyg-nix-2.31.2",
  },
};
