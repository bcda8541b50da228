// Where the origin keeps things: whether it can write there, how much room is left, and whether what
// it writes lasts; of a bucket, whether it can be used as an origin uses it.

import { randomUUID } from "node:crypto";
import { access, constants, open, rm, stat, statfs } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { BucketConfig } from "../storage/storage.ts";
import { describeBytes } from "../words/quantities.ts";
import { about, type Check, failed, ok, type Seen, warning } from "./finding.ts";
import type { Subject } from "./subject.ts";

/** It is asked again where it does not answer. */
const BUCKET_DEADLINE_MS = 40_000;
const SCARCE_BYTES = 10e9;
const FULL_BYTES = 1e9;
/** statfs(2). */
const PASSING_FILESYSTEMS: ReadonlyMap<number, string> = new Map([
  [0x01021994, "tmpfs, which a restart of the machine empties"],
  [0x858458f6, "ramfs, which a restart of the machine empties"],
  [0x794c7630, "an overlay, which commonly ends with its container"],
]);

export function storageChecks({ config, statePath }: Subject): readonly Check[] {
  const storagePath = config?.storagePath;
  const isApart = storagePath !== undefined && !`${storagePath}/`.startsWith(`${statePath}/`);
  const folders = isApart ? [statePath, storagePath] : [storagePath ?? statePath];
  const ofFolders = (["folder", "space", "durable"] as const).map(
    (name): Check => ({
      ...{ group: "storage", check: name, isCheap: true },
      look: () =>
        Promise.all(folders.map(async (folder) => about(folder, await LOOKS[name](folder)))),
    }),
  );
  const bucket = config?.bucket ?? null;
  return bucket === null ? ofFolders : [...ofFolders, bucketCheck(bucket)];
}

function bucketCheck(config: BucketConfig): Check {
  return {
    ...{ group: "storage", check: "bucket", isCheap: false, deadlineMs: BUCKET_DEADLINE_MS },
    async look() {
      const { tryBucket } = await import("../storage/try-bucket.ts");
      const { failure, unsigned } = await tryBucket(config);
      return about(config.name, describeBucket(failure, unsigned));
    },
  };
}

function describeBucket(failure: string | null, unsigned: string | null): Seen {
  if (failure !== null) {
    const toDo =
      "see that it is there, and that its account may list, read, write and delete objects";
    return failed(failure, `${toDo} (GCS_BUCKET, GOOGLE_APPLICATION_CREDENTIALS)`);
  }
  if (unsigned === null) return ok("can be written, read and cleared");
  return warning(
    `can be written, but blobs are streamed, for no address can be signed: ${unsigned}`,
    "name a key file (GOOGLE_APPLICATION_CREDENTIALS), let the account sign, or set NIXPORT_REDIRECT=never",
  );
}

const LOOKS: Readonly<Record<"folder" | "space" | "durable", (folder: string) => Promise<Seen>>> = {
  folder: lookAtFolder,
  space: lookAtSpace,
  durable: lookAtFilesystem,
};

/** Writes one small file, where the folder is there, and removes it. */
async function lookAtFolder(folder: string): Promise<Seen> {
  const there = await nearest(folder);
  const toDo = `see that this user may write in ${there}, or name another folder (NIXPORT_STATE, STORAGE_PATH)`;
  try {
    if (!(await stat(there)).isDirectory()) return failed(`${there} is no folder`, toDo);
    if (there !== folder) {
      await access(there, constants.W_OK | constants.X_OK);
      return ok("not there yet, and can be made");
    }
    await writeAndSync(folder);
    return ok("can be written, and fsync works");
  } catch (error) {
    return failed(wordsOf(error), toDo);
  }
}

async function writeAndSync(folder: string): Promise<void> {
  const path = join(folder, `doctor-${randomUUID()}`);
  try {
    const handle = await open(path, "wx", 0o600);
    try {
      await handle.writeFile("written by nixport doctor, which removes it\n");
      await handle.sync();
    } finally {
      await handle.close();
    }
    const parent = await open(folder, "r");
    await parent.sync().finally(() => parent.close());
  } finally {
    await rm(path, { force: true }).catch(() => undefined);
  }
}

async function lookAtSpace(folder: string): Promise<Seen> {
  const { bavail, bsize, files, ffree } = await statfs(await nearest(folder));
  if (files > 0 && ffree === 0) {
    return failed("no inodes are left", "remove files, or take another filesystem");
  }
  return describeSpace(bavail * bsize, "deleting layers/ of a stopped origin is safe");
}

/** Of a filesystem that grows with what is pulled. */
export function describeSpace(freeBytes: number, how: string): Seen {
  const saw = `${describeBytes(freeBytes)} free`;
  if (freeBytes < FULL_BYTES) return failed(saw, `make room: ${how}`);
  return freeBytes < SCARCE_BYTES ? warning(saw, `make room before it is full: ${how}`) : ok(saw);
}

async function lookAtFilesystem(folder: string): Promise<Seen> {
  const { type } = await statfs(await nearest(folder));
  const passing = PASSING_FILESYSTEMS.get(type);
  if (passing === undefined) return ok("on a disk");
  return warning(
    `on ${passing}`,
    "name a folder on a disk (NIXPORT_STATE, STORAGE_PATH), or everything is made again",
  );
}

/** The folder, or the nearest above it that is there. */
async function nearest(folder: string): Promise<string> {
  for (let each = folder; ; each = dirname(each)) {
    try {
      await stat(each);
      return each;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT" || each === dirname(each)) return each;
    }
  }
}

function wordsOf(error: unknown): string {
  switch ((error as NodeJS.ErrnoException).code) {
    case "EACCES":
    case "EPERM":
      return "this user may not write there";
    case "EROFS":
      return "the filesystem is read-only";
    case "ENOSPC":
      return "no space is left";
    case "EDQUOT":
      return "this user's quota is used up";
    default:
      return error instanceof Error ? error.message : String(error);
  }
}
