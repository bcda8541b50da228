// What the operator is told where there is no Nix that can read the package source: what is there,
// what is needed, what to do.

import { existsSync } from "node:fs";
import { join } from "node:path";
import type { TooOld } from "../nix/fitting-nix.ts";
import { nixPath } from "../nix/nix-runner.ts";
import { PINNED_NIX } from "../nix/pinned-nix.ts";

export const INSTALL_NIX = "Install Nix: https://nixos.org/download.";

/** Half a sentence. `what` is the package source, as people call it. */
export function describeTooOld({ version, needed, why }: TooOld, what: string): string {
  return `Nix ${version} is here, ${what} needs ${needed} or newer, and Nix ${PINNED_NIX.version} was not to be had: ${why}`;
}

/** Whole sentences. */
export function adviseUpgrade(
  { isManaged }: TooOld,
  env: Readonly<Record<string, string>>,
): string {
  if (!isManaged) {
    return "Let Nix reach a cache that has it (`substituters` in nix.conf), install a newer Nix (https://nixos.org/download), or name another package source (NIXERY_PKGS_PATH).";
  }
  const folder = nixPath(env).find((dir) => existsSync(join(dir, "nix")));
  if (folder === "/usr/bin" || folder === "/bin") {
    return "Whoever administers this machine has to replace the distribution's Nix, on Debian: `apt-get remove nix-bin nix-setup-systemd`, then `curl -L https://nixos.org/nix/install | sh -s -- --daemon`.";
  }
  // As the Nix manual has it; a distribution's own package is not what this upgrades.
  return "Whoever administers this machine has to upgrade Nix, as root: `nix-env --install --file '<nixpkgs>' --attr nix cacert -I nixpkgs=channel:nixpkgs-unstable && systemctl daemon-reload && systemctl restart nix-daemon`.";
}
