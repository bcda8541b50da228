// What a file tree looks like from outside: names, sizes, times and inodes of everything in it. Far
// cheaper than reading it, and another whenever its content is.

import { createHash } from "node:crypto";
import { lstat, readdir } from "node:fs/promises";
import { type ByteString, fileArgument, toByteString } from "../layers/byte-string.ts";

export type TreeLook =
  | {
      readonly kind: "seen";
      readonly signature: string;
      /** All files together. */
      readonly sizeBytes: number;
      /** The newest change of any entry, by the file system's clock. */
      readonly changedAtMs: number;
    }
  | { readonly kind: "too-large" };

/** A `.git` directly below `root` is left out unless asked for. Throws what `lstat` throws. */
export async function lookAtTree(
  root: string,
  maxEntries: number,
  withGit = false,
): Promise<TreeLook> {
  const hash = createHash("sha256");
  let entries = 0;
  let sizeBytes = 0;
  let changedAtMs = 0;

  async function look(path: ByteString, isRoot: boolean): Promise<boolean> {
    if (++entries > maxEntries) return false;
    const file = fileArgument(path);
    const stats = await lstat(file, { bigint: true });
    const { mode, size, ino, mtimeNs, ctimeNs } = stats;
    // The time of change besides that of modification, which tools set back.
    hash.update(`${path}\0${mode} ${size} ${ino} ${mtimeNs} ${ctimeNs}\n`);
    changedAtMs = Math.max(changedAtMs, Number(ctimeNs / 1_000_000n));
    if (!stats.isDirectory()) {
      sizeBytes += Number(size);
      return true;
    }
    for (const name of (await readdir(file, "latin1")).sort()) {
      if (isRoot && name === ".git" && !withGit) continue;
      if (!(await look(`${path}/${name}`, false))) return false;
    }
    return true;
  }

  if (!(await look(toByteString(root), true))) return { kind: "too-large" };
  return { kind: "seen", signature: hash.digest("hex"), sizeBytes, changedAtMs };
}
