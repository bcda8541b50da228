// Files that a process has begun and not finished, in a folder of its own; those of dead processes are
// removed by the next that opens.

import { randomUUID } from "node:crypto";
import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { hasCode } from "./file-errors.ts";

/** In a container every start has the same process id, so that alone proves nothing. */
const THIS_PROCESS = `${process.pid}-${randomUUID()}`;

/** Makes the folder, and gives new paths in it. */
export async function openStaging(staging: string): Promise<() => string> {
  const own = join(staging, `${THIS_PROCESS}-${randomUUID()}`);
  await mkdir(own, { recursive: true });
  await removeDead(staging);
  return () => join(own, randomUUID());
}

async function removeDead(staging: string): Promise<void> {
  for (const name of await readdir(staging)) {
    const pid = Number.parseInt(name, 10);
    const isUsed = pid === process.pid ? name.startsWith(THIS_PROCESS) : isAlive(pid);
    if (!isUsed) await rm(join(staging, name), { recursive: true, force: true });
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
