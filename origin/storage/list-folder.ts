// The files of a folder and of those in it, by their keys, in the order of the keys' bytes. Of a folder
// that is read no more is in memory than its names.

import type { Dirent } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import type { StoredValue } from "./blob-store.ts";
import { absentAsUndefined } from "./file-errors.ts";
import { listedKey } from "./keys.ts";

/** Asked for at once: the disk answers in any order. */
const STATS_AT_ONCE = 64;

/** `prefix` ends with a slash. What is in its way, or goes while it is read, counts as not there. */
export async function* listFolder(
  root: string,
  prefix: string,
  after: string,
): AsyncGenerator<StoredValue> {
  const entries = await absentAsUndefined(readdir(join(root, prefix), { withFileTypes: true }));
  // A folder's keys all begin with its name and a slash, which is where they belong among the others.
  const names = (entries ?? []).flatMap(nameOf).sort(byBytes);
  const isDone = (name: string) => {
    const path = `${prefix}${name}`;
    return path.endsWith("/") ? path < after && !after.startsWith(path) : path <= after;
  };
  const left = names.slice(names.findLastIndex(isDone) + 1);
  for (let place = 0; place < left.length; ) {
    const name = left[place] ?? "";
    if (name.endsWith("/")) {
      yield* listFolder(root, `${prefix}${name}`, after);
      place += 1;
    } else {
      const files = filesFrom(left, place);
      const values = await Promise.all(files.map((file) => look(root, `${prefix}${file}`)));
      yield* values.flat();
      place += files.length;
    }
  }
}

function nameOf(entry: Dirent): string[] {
  if (entry.isDirectory()) return [`${entry.name}/`];
  return entry.isFile() ? [entry.name] : [];
}

function byBytes(a: string, b: string): number {
  return a < b ? -1 : 1;
}

function filesFrom(names: readonly string[], place: number): readonly string[] {
  const some = names.slice(place, place + STATS_AT_ONCE);
  const folder = some.findIndex((name) => name.endsWith("/"));
  return folder === -1 ? some : some.slice(0, folder);
}

async function look(root: string, path: string): Promise<StoredValue[]> {
  const stats = await absentAsUndefined(stat(join(root, path)));
  if (stats === undefined) return [];
  return [{ key: listedKey(path), sizeBytes: stats.size, storedAtMs: stats.mtimeMs }];
}
