// Which Nix a source needs, in words, and the one that an earlier start has fetched for it.

import { readlink } from "node:fs/promises";
import { basename, join } from "node:path";
import { askNixVersion } from "../nix/nix-tool.ts";
import { PINNED_NIX } from "../nix/pinned-nix.ts";
import { isOlder } from "../nix/version.ts";
import { type Need, neededBy } from "../sources/needed-nix.ts";
import type { Source } from "../sources/source.ts";

type Environment = Readonly<Record<string, string>>;

export const PINNED_PATH =
  PINNED_NIX.paths[process.arch === "arm64" ? "aarch64-linux" : "x86_64-linux"];

/** What nixport itself needs where no source is known. */
export async function neededNix(source: Source | null): Promise<Need> {
  return await neededBy(source ?? { kind: "path", path: "/nowhere" });
}

/** `needs Nix 2.18 or newer`. */
export function describeNeed({ version, isKnown }: Need): string {
  return `${isKnown ? "needs" : "usually needs"} Nix ${version} or newer`;
}

export const NEWER_NIX = `npm start fetches Nix ${PINNED_NIX.version} where a cache has it and no daemon has the store; else upgrade Nix, or name another source of packages`;

/** As a start would have it: a newer Nix first on PATH where it is needed, and there already. */
export async function withNewerNix(
  env: Environment,
  statePath: string,
  source: Source | null,
): Promise<Environment> {
  const held = await readlink(join(statePath, "nix", basename(PINNED_PATH))).catch(() => undefined);
  if (held !== PINNED_PATH) return env;
  const [asked, need] = await Promise.all([askNixVersion({ env }), neededNix(source)]);
  const fits = asked.kind !== "found" || !isOlder(asked.version, need.version);
  return fits ? env : { ...env, PATH: `${PINNED_PATH}/bin:${env.PATH ?? "/usr/bin:/bin"}` };
}
