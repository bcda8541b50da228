// What a power cut would leave of what was written: a model of a disk that keeps of files and folders
// only what was fsynced. It watches the calls of this process, since a real cut cannot be had.

import fs, { type PathLike } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import { dirname, relative, resolve } from "node:path";
import type { Ending } from "../fixture.ts";

export interface Disk {
  /** Whether a file would be there with all that was written to it. */
  survives(path: string): boolean;
  /** Files that got their names before their bytes were safe: a power cut could leave them empty. */
  hasty(): readonly string[];
  /** How many times anything was fsynced. */
  syncs(): number;
  /** From now on only what comes is told of as hasty, and counted. */
  forget(): void;
}

/** Told of each file that gets its name, before it does: its bytes are still at the other place. */
export type OnNaming = (place: string, stagedAt: string) => void;

/** Watches what is done below a folder until the test ends. */
export function watchDisk(onEnd: Ending, root: string, onNaming: OnNaming = () => {}): Disk {
  const { open, link, rename, mkdir } = fs.promises;
  /** Of files: whether what was written to them is on the disk. */
  const contents = new Map<string, "written" | "synced">();
  /** Of files and folders: whether their folder has them on the disk. */
  const entries = new Map<string, "made" | "lasting">();
  let hasty: readonly string[] = [];
  let syncs = 0;

  const isInside = (path: string) => !relative(root, path).startsWith("..");

  function synced(path: string): void {
    syncs += 1;
    // Also of what another thread has written, whose calls are not seen here.
    contents.set(path, "synced");
    for (const each of entries.keys()) if (dirname(each) === path) entries.set(each, "lasting");
  }

  function watchHandle(handle: FileHandle, path: string): void {
    const { sync, write, writeFile } = handle;
    const watched =
      <Args extends unknown[], Result>(
        work: (...args: Args) => Promise<Result>,
        then: () => void,
      ) =>
      async (...args: Args): Promise<Result> => {
        const result = await work.apply(handle, args);
        then();
        return result;
      };
    const written = () => contents.set(path, "written");
    Object.assign(handle, {
      sync: watched(sync, () => synced(path)),
      write: watched(write as (...args: unknown[]) => Promise<unknown>, written),
      writeFile: watched(writeFile as (...args: unknown[]) => Promise<unknown>, written),
    });
  }

  async function named(from: PathLike, to: PathLike, naming: typeof link): Promise<void> {
    const [source, target] = [resolve(String(from)), resolve(String(to))];
    const isWatched = isInside(target);
    const content = contents.get(source) ?? "written";
    if (isWatched) onNaming(relative(root, target), source);
    await naming(from, to);
    if (!isWatched) return;
    if (content === "written") hasty = [...hasty, relative(root, target)];
    contents.set(target, content);
    entries.set(target, "made");
  }

  Object.assign(fs.promises, {
    async open(path: PathLike, ...rest: [flags?: string | number, mode?: number]) {
      const handle = await open(path, ...rest);
      const place = resolve(String(path));
      if (isInside(place)) watchHandle(handle, place);
      return handle;
    },
    async mkdir(path: PathLike, options: { readonly recursive: true }) {
      const first = await mkdir(path, options);
      if (first === undefined) return first;
      for (let made = resolve(String(path)); isInside(made); made = dirname(made)) {
        entries.set(made, "made");
        if (made === first) break;
      }
      return first;
    },
    async rename(from: PathLike, to: PathLike) {
      await named(from, to, rename);
      contents.delete(resolve(String(from)));
    },
    async link(from: PathLike, to: PathLike) {
      await named(from, to, link);
    },
  });
  syncBuiltinESMExports();
  onEnd(async () => {
    Object.assign(fs.promises, { open, link, rename, mkdir });
    syncBuiltinESMExports();
  });

  return {
    hasty: () => hasty,
    syncs: () => syncs,
    forget() {
      hasty = [];
      syncs = 0;
    },
    survives(path) {
      const place = resolve(root, path);
      if (contents.get(place) !== "synced") return false;
      for (let each = place; each !== root; each = dirname(each)) {
        if (entries.get(each) !== "lasting") return false;
      }
      return true;
    },
  };
}
