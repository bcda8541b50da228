// Looks at the machine's memory, and has work that nobody waits for end where little is left: one
// piece with each look, so that what it held can be seen to be free before another goes.

import type { Log } from "../log/log.ts";

export interface MemoryWatch {
  /** Adds those who have such work. What is given ends one piece of it, and says whether there was one. */
  add(endOne: () => boolean): void;
}

export interface MemoryWatchOptions {
  readonly log: Pick<Log, "warn">;
  /** Aborted when the origin goes down. */
  readonly signal: AbortSignal;
  readonly machineBytes: number;
  readonly availableBytes: () => number;
}

const LOOK_EVERY_MS = 1000;
/** An evaluation of nixpkgs may take as much within a second or two. */
const SHORT_BYTES = 512 * 1024 ** 2;
/** On a small machine that would be most of it. */
const SHORT_PART = 1 / 8;

export function watchMemory(options: MemoryWatchOptions): MemoryWatch {
  const { log, signal, machineBytes, availableBytes } = options;
  const shortBytes = Math.min(SHORT_BYTES, SHORT_PART * machineBytes);
  const all = new Set<() => boolean>();

  function look(): void {
    const bytes = availableBytes();
    if (bytes >= shortBytes) return;
    for (const endOne of all) {
      if (!endOne()) continue;
      log.warn({ availableBytes: bytes }, "memory is short: ended what nobody waits for");
      return;
    }
  }

  const timer = setInterval(look, LOOK_EVERY_MS).unref();
  signal.addEventListener("abort", () => clearInterval(timer), { once: true });
  return { add: (endOne) => all.add(endOne) };
}
