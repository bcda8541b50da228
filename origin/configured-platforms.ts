// NIXPORT_PLATFORMS: what a name without a platform is for, at the origin and at a local edge.

import { type Platforms, parsePlatforms } from "../registry/platforms.ts";

export const PLATFORMS_HINT = "some of linux/amd64,linux/arm64, separated by commas";

/** What the environment says, else this machine's platform; undefined for what is no such list. */
export function readPlatforms(
  env: Readonly<Record<string, string | undefined>>,
): Platforms | undefined {
  const text = env.NIXPORT_PLATFORMS?.trim();
  if (text) return parsePlatforms(text);
  return [process.arch === "arm64" ? "arm64" : "amd64"];
}
