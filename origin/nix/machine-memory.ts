// How much memory there is for the origin and what it starts, and how much of it is left: of a container
// what that may have, where it has a limit.

import { readFileSync } from "node:fs";
import { freemem, totalmem } from "node:os";
import { availableMemory, constrainedMemory } from "node:process";

const GROUPS_FILE = "/proc/self/cgroup";
const GROUPS = "/sys/fs/cgroup";

export function machineMemoryBytes(): number {
  return Math.min(totalmem(), constrainedMemory() || Number.POSITIVE_INFINITY);
}

/**
 * Where a container has a limit, Node counts the files that it has in memory as taken. But they make
 * room whenever some is needed, and whoever packs layers for a while has little else left.
 */
export function availableMemoryBytes(): number {
  return Math.min(freemem(), availableMemory() + fileCacheBytes(readIfThere));
}

/** Of this process's control group; 0 where there is none to be seen. */
export function fileCacheBytes(read: (path: string) => string | undefined): number {
  const groups = read(GROUPS_FILE) ?? "";
  const first = /^\d+:memory:(.*)$/m.exec(groups)?.[1];
  const second = /^0::(.*)$/m.exec(groups)?.[1];
  const [top, group, prefix] =
    first === undefined ? [GROUPS, second, ""] : [`${GROUPS}/memory`, first, "total_"];
  // A container may see its own group in the place of all.
  const stat = read(`${top}${group}/memory.stat`) ?? read(`${top}/memory.stat`) ?? "";
  const fields = new RegExp(`^${prefix}(?:in)?active_file (\\d+)$`, "gm");
  return [...stat.matchAll(fields)].reduce((sum, [, bytes]) => sum + Number(bytes), 0);
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    // Whatever keeps it from being read: without it less is taken to be left, and that is on the safe side.
    return undefined;
  }
}
