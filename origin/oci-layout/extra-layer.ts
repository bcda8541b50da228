// The layer that shell commands make: what they leave in a folder lies over everything else of the
// image. The one place that runs commands of the user's, inside the build of nix/image.nix.

import { chmod, lstat, mkdir, readdir, readFile, readlink } from "node:fs/promises";
import { join } from "node:path";
import type { Form } from "../../registry/image/record.ts";
import {
  type ByteString,
  fileArgument,
  readableText,
  toByteString,
} from "../layers/byte-string.ts";
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
const MAX_EXTRA_BYTES = 256 << 20;

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

/** With the modes that the commands gave. */
async function readTree(root: string): Promise<readonly ArchiveEntry[]> {
  const entries: ArchiveEntry[] = [];
  const folders: ByteString[] = [""];
  let sizeBytes = 0;
  for (let above = folders.pop(); above !== undefined; above = folders.pop()) {
    const inside = fileArgument(`${toByteString(root)}/${above}`);
    for (const name of await readdir(inside, "latin1")) {
      const path = above === "" ? name : `${above}/${name}`;
      if (name.startsWith(WHITEOUT_PREFIX)) {
        throw wrong(path, "has a name that layers reserve for deleting files");
      }
      const entry = await readEntry(fileArgument(`${toByteString(root)}/${path}`), path);
      if (entry.kind === "directory") folders.push(path);
      if (entry.kind === "file") sizeBytes += entry.content.length;
      if (sizeBytes > MAX_EXTRA_BYTES) {
        throw wrong(path, `goes beyond ${MAX_EXTRA_BYTES} bytes: put large things in contents`);
      }
      entries.push(entry);
    }
  }
  return entries;
}

async function readEntry(file: string | Buffer, path: ByteString): Promise<ArchiveEntry> {
  const stats = await lstat(file);
  const mode = stats.mode & 0o7777;
  if (stats.isDirectory()) {
    await makeReadable(file, mode, 0o500);
    return { kind: "directory", path, mode };
  }
  if (stats.isSymbolicLink()) {
    return { kind: "link", path, target: await readlink(file, "latin1") };
  }
  if (!stats.isFile()) throw wrong(path, "is no file, directory or symbolic link");
  // Before it is read: the limit is there to keep memory small.
  if (stats.size > MAX_EXTRA_BYTES) {
    throw wrong(path, `goes beyond ${MAX_EXTRA_BYTES} bytes: put large things in contents`);
  }
  await makeReadable(file, mode, 0o400);
  return { kind: "file", path, mode, content: await readFile(file) };
}

/** An image may hold what its own builder could not read, such as a shadow file of mode 000. */
async function makeReadable(file: string | Buffer, mode: number, needed: number): Promise<void> {
  if ((mode & needed) !== needed) await chmod(file, mode | needed);
}

function wrong(path: ByteString, what: string): ExtraLayerError {
  return new ExtraLayerError(`extraCommands: ${readableText(path)} ${what}`);
}

function failed(reason: string): ExtraLayer {
  return { kind: "failed", reason };
}
