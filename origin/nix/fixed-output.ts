// Whether a derivation's output is known by its hash before it is built, for which its builder may use the
// network.

import { readFile } from "node:fs/promises";
import type { NixTool } from "./nix-tool.ts";
import { realPath } from "./store-place.ts";

export async function hasFixedOutput(
  { storeDirectory }: Pick<NixTool, "storeDirectory">,
  derivation: string,
): Promise<boolean> {
  // Nix's own format: the first output's name, path, method with algorithm, and hash.
  const text = await readFile(realPath(storeDirectory, derivation), "latin1").catch(() => "");
  return /^Derive\(\[\("[^"]*","[^"]*","[^"]+","[^"]+"\)/.test(text);
}
