// What the runtime of this process's edges takes of the machine's memory.

import { readdirSync, readFileSync, readlinkSync } from "node:fs";

const SAMPLE_MS = 50;

export interface Memory {
  readonly beforeBytes: number;
  readonly peakBytes: number;
}

/** Looked at every 50 ms while the work is done, and at its end. */
export async function memoryWhile(work: () => Promise<unknown>): Promise<Memory> {
  const pid = runtimePid();
  const beforeBytes = residentBytes(pid);
  let peakBytes = beforeBytes;
  const look = () => {
    peakBytes = Math.max(peakBytes, residentBytes(pid));
  };
  const timer = setInterval(look, SAMPLE_MS);
  try {
    await work();
  } finally {
    clearInterval(timer);
  }
  look();
  return { beforeBytes, peakBytes };
}

function runtimePid(): number {
  const own = readdirSync("/proc").filter((name) => /^\d+$/.test(name) && isOwnRuntime(name));
  const [pid] = own;
  if (pid === undefined || own.length > 1) throw new Error(`${own.length} runtimes`);
  return Number(pid);
}

function isOwnRuntime(pid: string): boolean {
  try {
    const [, parent] = /^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
    return Number(parent) === process.pid && readlinkSync(`/proc/${pid}/exe`).endsWith("/workerd");
  } catch {
    // A process that has ended meanwhile, or another user's.
    return false;
  }
}

function residentBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return 1024 * Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]);
}
