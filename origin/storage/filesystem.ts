// The storage on a local disk. A value is written beside its place, fsynced and renamed, so that a
// kill at any moment leaves the old value, the new one or none. Needs no extended attributes.

import { link, mkdir, open, readFile, rename, rm, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import type { BlobStore, ReadableStore } from "./blob-store.ts";
import { absentAsUndefined, hasCode } from "./file-errors.ts";
import type { StorageKey } from "./keys.ts";
import { listFolder } from "./list-folder.ts";
import { openFile } from "./read-file.ts";
import { openStaging } from "./staging.ts";

/** What filesystems say that have no hard links. */
const WITHOUT_LINKS = ["EPERM", "ENOSYS", "ENOTSUP", "EOPNOTSUPP"];

/** How a finished file comes to its place. */
type Placing = (from: string, to: string) => Promise<void>;

/** Opens the store below `path`, which is made if absent, and removes what dead processes left. */
export async function openFilesystemStore(path: string): Promise<BlobStore> {
  const root = resolve(path);
  const stagingPath = await openStaging(join(root, "staging"));
  /** Folders that were made, and whether a power cut cannot take them. */
  const folders = new Map<string, "made" | "lasting">();
  const pathOf = (key: StorageKey) => join(root, key);

  async function write(
    key: StorageKey,
    bytes: Uint8Array,
    durable: boolean,
    placing: Placing,
  ): Promise<void> {
    const path = stagingPath();
    try {
      const handle = await open(path, "wx", 0o644);
      try {
        await handle.writeFile(bytes);
        if (durable) await handle.sync();
      } finally {
        await handle.close();
      }
      await place(key, path, durable, placing);
    } catch (error) {
      // A disk that is full must not be filled further with what could not be finished.
      await rm(path, { force: true });
      throw error;
    }
  }

  async function place(
    key: StorageKey,
    from: string,
    durable: boolean,
    placing: Placing,
  ): Promise<void> {
    const path = pathOf(key);
    const folder = dirname(path);
    await prepareFolder(folder, durable);
    try {
      await placing(from, path);
    } catch (error) {
      if (!hasCode(error, "ENOENT")) throw error;
      // Somebody has removed the folder since it was made.
      folders.delete(folder);
      await prepareFolder(folder, durable);
      await placing(from, path);
    }
    // The name itself must survive a power cut before anything that names this value is written.
    if (durable) await syncPath(folder);
  }

  async function prepareFolder(folder: string, durable: boolean): Promise<void> {
    if (!folders.has(folder)) {
      await mkdir(folder, { recursive: true });
      if (!folders.has(folder)) folders.set(folder, "made");
    }
    if (!durable || folders.get(folder) === "lasting") return;
    // A new folder is an entry of its parent, which a power cut could take with all that is in it.
    for (let each = folder; each !== root; each = dirname(each)) await syncPath(dirname(each));
    folders.set(folder, "lasting");
  }

  async function isThere(key: StorageKey): Promise<boolean> {
    return (await absentAsUndefined(stat(pathOf(key)))) !== undefined;
  }

  return {
    ...readFilesystemStore(root),
    async store(key, bytes) {
      await write(key, bytes, true, rename);
    },
    async create(key, bytes) {
      // Most of what is stored so is there: nothing is written for that.
      if (await isThere(key)) return false;
      try {
        await write(key, bytes, true, linkAlone);
        return true;
      } catch (error) {
        if (hasCode(error, "EEXIST") && (await isThere(key))) return false;
        throw error;
      }
    },
    async remember(key, bytes) {
      await write(key, bytes, false, rename);
    },
    async localPart(key, range) {
      const stats = await absentAsUndefined(stat(pathOf(key)));
      return stats?.isFile() ? { path: pathOf(key), offsetBytes: range?.offset ?? 0 } : undefined;
    },
    stagingPath,
    async storeFile(key, path) {
      await syncPath(path);
      await place(key, path, true, rename);
    },
    async remove(key) {
      await rm(pathOf(key), { force: true });
    },
  };
}

/** Makes and changes nothing: for a disk that takes nothing any more, too. */
export function readFilesystemStore(path: string): ReadableStore {
  const root = resolve(path);
  const pathOf = (key: StorageKey) => join(root, key);
  return {
    async lookup(key) {
      return absentAsUndefined(readFile(pathOf(key)));
    },
    async sizeBytes(key) {
      const stats = await absentAsUndefined(stat(pathOf(key)));
      return stats?.isFile() ? stats.size : undefined;
    },
    open: (key, range) => openFile(pathOf(key), range),
    list: (prefix, after) => listFolder(root, prefix, after ?? ""),
  };
}

/** As `rename`, but fails with EEXIST where there is something. */
async function linkAlone(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    if (!hasCode(error, ...WITHOUT_LINKS)) throw error;
    // Two processes that create it at the same moment may both be told that they did.
    await rename(from, to);
    return;
  }
  await rm(from);
}

async function syncPath(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
