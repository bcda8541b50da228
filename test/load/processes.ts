// What the two programs take of the machine: of the edge that is its runtime, which the process that was
// started has started.

import { readFile } from "node:fs/promises";
import { peakRssBytes } from "../bench/measure.ts";
import { descendantsOf } from "../origin/nix/fixture.ts";

/** The runtime of an edge. */
export async function runtimeOf(edgePid: number): Promise<number> {
  for (const pid of await descendantsOf(edgePid)) {
    const name = await readFile(`/proc/${pid}/comm`, "utf8");
    if (name.trim() === "workerd") return pid;
  }
  throw new Error("the edge has no runtime");
}

/** The most that was in memory at once, so far. */
export async function peakMib(pid: number): Promise<number> {
  return Math.round((await peakRssBytes(pid)) / 1024 ** 2);
}
