// NIXPORT_PLATFORMS: what a name without a platform is for, at the origin and at a local edge.

import { type Platforms, parsePlatforms } from "../../registry/http/platforms.ts";
import type { Variables } from "./variables.ts";

/** What the environment says, else this machine's platform. */
export function readPlatforms({ text, problem }: Variables): Platforms | undefined {
  const value = text("NIXPORT_PLATFORMS");
  if (value === undefined) return [process.arch === "arm64" ? "arm64" : "amd64"];
  const hint = "some of linux/amd64,linux/arm64, separated by commas";
  return parsePlatforms(value) ?? problem(`NIXPORT_PLATFORMS is ${JSON.stringify(value)}: ${hint}`);
}
