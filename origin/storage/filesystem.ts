// The storage on a local disk. A value is written beside its place, fsynced and renamed, so that a
// kill at any moment leaves the old value, the new one or none. Needs no extended attributes.

import { randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, open, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { Readable } from "node:stream";
import type { ReadableStream as NodeReadableStream } from "node:stream/web";
import type { BlobStore } from "./blob-store.ts";
import { listedKey, type StorageKey } from "./keys.ts";

/** Reads of 256 KiB: a layer is streamed, never held. */
const READ_CHUNK_BYTES = 256 * 1024;

/** Opens the store below `path`, which is made if absent, and removes what dead processes left. */
export async function openFilesystemStore(path: string): Promise<BlobStore> {
  const root = resolve(path);
  const staging = join(root, "staging");
  const ownStaging = join(staging, `${process.pid}-${randomUUID()}`);
  await mkdir(ownStaging, { recursive: true });
  await removeDeadStaging(staging, ownStaging);
  /** Folders that were made, and whether a power cut cannot take them. */
  const folders = new Map<string, "made" | "lasting">();
  const pathOf = (key: StorageKey) => join(root, key);
  const stagingPath = () => join(ownStaging, randomUUID());

  async function write(key: StorageKey, bytes: Uint8Array, durable: boolean): Promise<void> {
    const path = stagingPath();
    try {
      const handle = await open(path, "wx", 0o644);
      try {
        await handle.writeFile(bytes);
        if (durable) await handle.sync();
      } finally {
        await handle.close();
      }
      await place(key, path, durable);
    } catch (error) {
      // A disk that is full must not be filled further with what could not be finished.
      await rm(path, { force: true });
      throw error;
    }
  }

  async function place(key: StorageKey, from: string, durable: boolean): Promise<void> {
    const path = pathOf(key);
    const folder = dirname(path);
    await prepareFolder(folder, durable);
    try {
      await rename(from, path);
    } catch (error) {
      if (!hasCode(error, "ENOENT")) throw error;
      // Somebody has removed the folder since it was made.
      folders.delete(folder);
      await prepareFolder(folder, durable);
      await rename(from, path);
    }
    // The rename itself must survive a power cut before anything that names this value is written.
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

  return {
    async lookup(key) {
      return absentAsUndefined(readFile(pathOf(key)));
    },
    async sizeBytes(key) {
      const stats = await absentAsUndefined(stat(pathOf(key)));
      return stats?.isFile() ? stats.size : undefined;
    },
    async open(key, range) {
      const handle = await absentAsUndefined(open(pathOf(key), "r"));
      if (handle === undefined) return undefined;
      const stream = createReadStream("", {
        fd: handle,
        highWaterMark: READ_CHUNK_BYTES,
        ...(range !== null && { start: range.offset, end: range.offset + range.length - 1 }),
      });
      // The two declarations of ReadableStream differ in name only.
      return Readable.toWeb(stream) as NodeReadableStream as ReadableStream<Uint8Array>;
    },
    async store(key, bytes) {
      await write(key, bytes, true);
    },
    async remember(key, bytes) {
      await write(key, bytes, false);
    },
    async localFile(key) {
      const stats = await absentAsUndefined(stat(pathOf(key)));
      return stats?.isFile() ? pathOf(key) : undefined;
    },
    stagingPath,
    async storeFile(key, path) {
      await syncPath(path);
      await place(key, path, true);
    },
    async remove(key) {
      await rm(pathOf(key), { force: true });
    },
    async list(prefix) {
      const names = (await absentAsUndefined(readdir(join(root, prefix)))) ?? [];
      return names.sort().map((name) => listedKey(`${prefix}${name}`));
    },
  };
}

async function syncPath(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function removeDeadStaging(staging: string, own: string): Promise<void> {
  for (const name of await readdir(staging)) {
    const folder = join(staging, name);
    const pid = Number.parseInt(name, 10);
    // In a container every start has the same process id, so one's own id proves nothing.
    const used = folder === own || (pid !== process.pid && isAlive(pid));
    if (!used) await rm(folder, { recursive: true, force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: alive, under another user.
    return hasCode(error, "EPERM");
  }
}

async function absentAsUndefined<T>(promise: Promise<T>): Promise<T | undefined> {
  try {
    return await promise;
  } catch (error) {
    if (hasCode(error, "ENOENT")) return undefined;
    throw error;
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
