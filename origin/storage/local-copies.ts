// Copies of what a bucket holds, on this machine's disk while they are of use: within a limit, the least
// recently used going first. They are of values that never change.

import { rm } from "node:fs/promises";
import type { ByteRange } from "../../registry/http/ranges.ts";
import type { LocalPart } from "./blob-store.ts";
import type { StorageKey } from "./keys.ts";

export interface LocalCopies {
  /** In the copy of the whole, or of just that part. */
  find(key: StorageKey, range: ByteRange | null): LocalPart | undefined;
  /** Takes a file over, which holds the whole or a part. It may be gone at once. */
  keep(key: StorageKey, range: ByteRange | null, file: CopiedFile): Promise<void>;
  /** Of what was replaced or removed. */
  drop(key: StorageKey): Promise<void>;
}

export interface CopiedFile {
  readonly path: string;
  readonly sizeBytes: number;
}

export function createLocalCopies(limitBytes: number): LocalCopies {
  /** In the order of their last use. */
  const files = new Map<string, CopiedFile>();
  let keptBytes = 0;

  function use(name: string): CopiedFile | undefined {
    const file = files.get(name);
    if (file === undefined) return undefined;
    files.delete(name);
    files.set(name, file);
    return file;
  }

  async function forget(name: string): Promise<void> {
    const file = files.get(name);
    if (file === undefined) return;
    files.delete(name);
    keptBytes -= file.sizeBytes;
    await rm(file.path, { force: true });
  }

  return {
    find(key, range) {
      const whole = use(nameOf(key, null));
      if (whole !== undefined) return { path: whole.path, offsetBytes: range?.offset ?? 0 };
      const part = use(nameOf(key, range));
      return part && { path: part.path, offsetBytes: 0 };
    },
    async keep(key, range, file) {
      const name = nameOf(key, range);
      await forget(name);
      files.set(name, file);
      keptBytes += file.sizeBytes;
      for (const oldest of files.keys()) {
        if (keptBytes <= limitBytes) return;
        await forget(oldest);
      }
    },
    async drop(key) {
      const isOfKey = (name: string) => name.startsWith(`${key}@`);
      await Promise.all([...files.keys()].filter(isOfKey).map(forget));
    },
  };
}

function nameOf(key: StorageKey, range: ByteRange | null): string {
  return `${key}@${range === null ? "" : `${range.offset}+${range.length}`}`;
}
