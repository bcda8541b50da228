// What keeps the Debian-backed set from being built at all: its builders need the host's own
// programs, which a sandbox hides, and a daemon lets only users whom it trusts turn the sandbox off.

import { readNixSettings } from "../nix/nix-settings.ts";
import { askNixVersion } from "../nix/nix-tool.ts";
import { askStoreAccess } from "../nix/store-access.ts";

/** In words, with what to do; undefined where nothing is known to be in the way. */
export async function debianSetObstacle(
  env: Readonly<Record<string, string>>,
): Promise<string | undefined> {
  // A setting of this user's own is what the daemon does not heed.
  const found = await askNixVersion({ env: { ...env, NIX_CONFIG: undefined } });
  if (found.kind !== "found") return undefined;
  const access = await askStoreAccess(found);
  if (access?.through !== "daemon" || access.trusted !== false) return undefined;
  // The daemon reads the same file. Where the sandbox is relaxed, it is off for who asks.
  const settings = await readNixSettings(found);
  if (settings?.sandbox !== true) return undefined;
  return "Nix's daemon builds in a sandbox and does not trust this user to turn it off. Set `sandbox = relaxed` in /etc/nix/nix.conf and `systemctl restart nix-daemon`, or name a package source (NIXERY_PKGS_PATH).";
}
