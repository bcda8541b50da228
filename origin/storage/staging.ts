// Files that a process has begun and not finished, in a folder of its own; those of dead processes are
// removed by the next that opens. A process lives while it holds the lock of its folder, whichever container
// or machine it runs in: of a process id that says nothing. SQLite takes it, since Node has no locks of files.

import { randomUUID } from "node:crypto";
import { existsSync, mkdirSync, utimesSync } from "node:fs";
import { mkdir, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { absentAsUndefined } from "./file-errors.ts";

const LOCK = "lock";
const SQLITE_BUSY = 5;
/** Held until the process ends: one that is collected gives its lock back. */
const held: DatabaseSync[] = [];

/** Without a lock, on a filesystem that has none: when nothing in it was begun or finished for a day. */
const DEAD_AFTER_MS = 86_400_000;
const SAID_EVERY_MS = 3_600_000;

/** Makes the folder, and gives new paths in it. */
export async function openStaging(
  staging: string,
  now: () => number = Date.now,
): Promise<() => string> {
  const own = await makeFolder(staging);
  let saidMs = now();
  for (const name of await readdir(staging)) {
    const path = join(staging, name);
    if (path !== own && (await isDead(path, now()))) await rm(path, { recursive: true });
  }
  return () => {
    if (Math.abs(now() - saidMs) >= SAID_EVERY_MS) {
      saidMs = now();
      // Where there are no locks, one that had nothing to write for a day was taken for dead.
      mkdirSync(own, { recursive: true });
      utimesSync(own, saidMs / 1000, saidMs / 1000);
    }
    return join(own, randomUUID());
  };
}

/** Another may have looked at the lock before it was taken, and removes the folder. */
async function makeFolder(staging: string): Promise<string> {
  for (;;) {
    const path = join(staging, randomUUID());
    await mkdir(path, { recursive: true });
    const lock = takeLock(path);
    if (typeof lock === "object") {
      held.push(lock);
      return path;
    }
    if (lock === "none") return path;
  }
}

async function isDead(path: string, nowMs: number): Promise<boolean> {
  // Its folder may have been made just now; and earlier versions knew of no locks.
  const lock = existsSync(join(path, LOCK)) ? takeLock(path) : "none";
  if (lock === "another's") return false;
  if (lock === "none") return !(await isYoung(path, nowMs));
  lock.close();
  return true;
}

function takeLock(path: string): DatabaseSync | "another's" | "none" {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(join(path, LOCK), { timeout: 0 });
    // A journal would be a second file.
    database.exec("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE");
    return database;
  } catch (error) {
    database?.close();
    return (error as { errcode?: unknown }).errcode === SQLITE_BUSY ? "another's" : "none";
  }
}

async function isYoung(path: string, nowMs: number): Promise<boolean> {
  const isFolder = (await absentAsUndefined(stat(path)))?.isDirectory() ?? false;
  const names = isFolder ? await absentAsUndefined(readdir(path)) : [];
  const paths = [path, ...(names ?? []).map((name) => join(path, name))];
  const stats = await Promise.all(paths.map((each) => absentAsUndefined(stat(each))));
  return stats.some((each) => each !== undefined && nowMs - each.mtimeMs < DEAD_AFTER_MS);
}
