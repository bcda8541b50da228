// Versions of Nix: read from what a program says, compared, and what a package set asks for.

import { open } from "node:fs/promises";
import { join } from "node:path";

/** The oldest that this program is tried with. */
export const OLDEST_NIX = "2.8";

/** `2.8.0` of `nix (Nix) 2.8.0`; other distributions put their own version before Nix's. */
export function parseNixVersion(text: string): string | undefined {
  return /(\d+\.\d+(?:\.\d+)?)\S*\s*$/.exec(text.split("\n")[0] ?? "")?.[1];
}

/** `2.18` and `2.18.0` are the same. */
export function isOlder(version: string, than: string): boolean {
  const [left, right] = [numbersOf(version), numbersOf(than)];
  for (let place = 0; place < Math.max(left.length, right.length); place++) {
    const difference = (left[place] ?? 0) - (right[place] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return false;
}

function numbersOf(version: string): readonly number[] {
  return version.split(".").map(Number);
}

const NEED_FILE = "lib/minver.nix";
/** nixpkgs' has 70 bytes. */
const MAX_NEED_BYTES = 4096;

/**
 * The oldest Nix that can read a package set, as nixpkgs and its forks say it in a file of their
 * own: comments and a string. Undefined where the folder says nothing of it. nix/load.nix reads the
 * same when it evaluates; this is for knowing before.
 */
export async function readNeededNix(folder: string): Promise<string | undefined> {
  const text = await readStart(join(folder, NEED_FILE));
  return /^(?:\s|#.*\n)*"(\d+(?:\.\d+)*)"\s*$/.exec(text ?? "")?.[1];
}

async function readStart(path: string): Promise<string | undefined> {
  try {
    await using file = await open(path);
    const { bytesRead, buffer } = await file.read(Buffer.alloc(MAX_NEED_BYTES), 0);
    return buffer.toString("utf8", 0, bytesRead);
  } catch (error) {
    // Absent, no folder, not readable: Nix finds out whether the set can be loaded.
    if (error instanceof Error && "code" in error) return undefined;
    throw error;
  }
}
