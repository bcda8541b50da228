// The layer that shell commands make: what they leave in a folder lies over everything else of the
// image. The one place that runs commands of the user's, inside the build of nix/image.nix.

import { lstat, mkdir, readdir, readFile, readlink } from "node:fs/promises";
import { join } from "node:path";
import type { Form } from "../../registry/record.ts";
import { readableText, toByteString } from "../layers/byte-string.ts";
import { type ArchiveEntry, type PackedEntries, packEntries } from "../layers/entries.ts";
import { WHITEOUT_PREFIX } from "../layers/tar.ts";
import type { Owner } from "../layers/tar-header.ts";
import { runProcess } from "../nix/spawn.ts";

export interface ExtraCommands {
  readonly commands: string;
  /** The program that reads them, such as bash. */
  readonly shell: string;
  /** Folders of programs that the commands may call. */
  readonly path: readonly string[];
  readonly owner: Owner;
}

export type ExtraLayer =
  | { readonly kind: "layer"; readonly packed: PackedEntries }
  | { readonly kind: "failed"; readonly reason: string };

/** Nix has limits of its own for a whole build; this one only ends a hang. */
const COMMANDS_DEADLINE_MS = 60 * 60_000;
/** The layer is made in memory: larger things are packages. */
export const MAX_EXTRA_BYTES = 256 << 20;

class ExtraLayerError extends Error {}

export async function makeExtraLayer(
  { commands, shell, path, owner }: ExtraCommands,
  form: Form,
  workPath: string,
): Promise<ExtraLayer> {
  const cwd = join(workPath, "extra");
  await mkdir(cwd);
  const result = await runProcess(shell, ["-e", "-c", commands], {
    env: { PATH: path.join(":"), HOME: workPath },
    cwd,
    deadlineMs: COMMANDS_DEADLINE_MS,
  });
  if (result.kind !== "exited") return failed(`extraCommands ended: ${result.kind}`);
  if (result.code !== 0) {
    return failed(`extraCommands ended with ${result.code}: ${result.stderr.trim()}`);
  }
  try {
    return { kind: "layer", packed: packEntries(await readTree(cwd), form, owner) };
  } catch (error) {
    if (error instanceof ExtraLayerError) return failed(error.message);
    throw error;
  }
}

/** With the modes that the commands gave; names as bytes, since a layer knows no encoding. */
async function readTree(root: string): Promise<readonly ArchiveEntry[]> {
  const entries: ArchiveEntry[] = [];
  let sizeBytes = 0;
  for (const folder = [""]; folder.length > 0; ) {
    const above = folder.pop() ?? "";
    for (const name of await readdir(join(root, above))) {
      const place = above === "" ? name : `${above}/${name}`;
      const file = join(root, place);
      const path = toByteString(place);
      if (name.startsWith(WHITEOUT_PREFIX)) {
        throw new ExtraLayerError(`${place}: layers reserve such a name for deleting files`);
      }
      const stats = await lstat(file);
      const mode = stats.mode & 0o7777;
      if (stats.isDirectory()) {
        folder.push(place);
        entries.push({ kind: "directory", path, mode });
      } else if (stats.isSymbolicLink()) {
        const target = (await readlink(file, "buffer")).toString("latin1");
        entries.push({ kind: "link", path, target });
      } else if (stats.isFile()) {
        sizeBytes += stats.size;
        if (sizeBytes > MAX_EXTRA_BYTES) {
          throw new ExtraLayerError(
            `extraCommands left more than ${MAX_EXTRA_BYTES} bytes: put large things in contents`,
          );
        }
        entries.push({ kind: "file", path, mode, content: await readFile(file) });
      } else {
        throw new ExtraLayerError(`${readableText(path)} is no file, directory or symbolic link`);
      }
    }
  }
  return entries;
}

function failed(reason: string): ExtraLayer {
  return { kind: "failed", reason };
}
