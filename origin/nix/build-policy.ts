// Whether Nix may build what no binary cache has, and how much of it.

import { existsSync } from "node:fs";
import { withoutCredentials } from "../../registry/failures/public-text.ts";
import type { NixSettings } from "./nix-settings.ts";

/**
 * `missing`: what the caches say they do not have. `always`: also what they should have and do not
 * give.
 */
export type SourceBuilds = "never" | "missing" | "always";
export const SOURCE_BUILDS: readonly SourceBuilds[] = ["never", "missing", "always"];

export interface BuildPolicy {
  readonly build: SourceBuilds;
  /** Of the derivations that one pull may have built; null: as many as it takes. */
  readonly maxSourceBuilds: number | null;
  /** URLs of the host's binary caches; empty where nothing is substituted. */
  readonly caches: readonly string[];
}

/** Beyond this a cache was most likely meant to have them: a tool chain alone takes some 200. */
const DEFAULT_MAX_SOURCE_BUILDS = 20;
/** What Nix asks where nothing is configured, and so where it does not say. */
const USUAL_CACHE = "https://cache.nixos.org";

/** `maxSourceBuilds` as the operator set it, null where not. */
export function buildPolicy(
  { build, maxSourceBuilds }: Pick<BuildPolicy, "build" | "maxSourceBuilds">,
  settings: NixSettings | undefined,
): BuildPolicy {
  const caches = settings?.substituters ?? [USUAL_CACHE];
  // Without caches everything is built from source, and who asks for "always" wants just that.
  const isLimited = build !== "always" && caches.length > 0;
  return {
    ...{ build, caches },
    maxSourceBuilds: maxSourceBuilds ?? (isLimited ? DEFAULT_MAX_SOURCE_BUILDS : null),
  };
}

/** Whether anything depends on what Nix would build; if not, it need not be asked. */
export function needsPlan({ build, maxSourceBuilds, caches }: BuildPolicy): boolean {
  if (build === "never" || maxSourceBuilds !== null) return true;
  return build === "missing" && caches.length > 0;
}

/** For the operator's log: by which caches and keys of the host's, and within which limits. */
export function describeBuilds(policy: BuildPolicy, settings: NixSettings | undefined) {
  const { build, maxSourceBuilds } = policy;
  const caches = policy.caches.map(withoutCredentials);
  if (settings === undefined) return { build, maxSourceBuilds, caches };
  const { trustedPublicKeys: keys, netrcFile, sandbox, maxJobs, builders } = settings;
  const netrc = existsSync(netrcFile) ? netrcFile : null;
  return { build, maxSourceBuilds, caches, keys, netrc, sandbox, maxJobs, builders };
}
