// How much memory the evaluations of an origin take at most. Nix says how much it allocated, not how
// much it held, so its processes are looked at while they run.

import { readFileSync } from "node:fs";
import { peakRssIn } from "./measure.ts";

export interface EvaluatorWatch {
  /** The most that any has held since the last call. */
  takePeak(): number;
  stop(): void;
}

const LOOK_EVERY_MS = 20;

export function watchEvaluators(originPid: number): EvaluatorWatch {
  let peakBytes = 0;
  const look = () => {
    for (const pid of read(`/proc/${originPid}/task/${originPid}/children`).split(" ")) {
      if (!read(`/proc/${pid}/cmdline`).includes("lookup.nix")) continue;
      const bytes = peakRssIn(read(`/proc/${pid}/status`));
      if (bytes > peakBytes) peakBytes = bytes;
    }
  };
  const timer = setInterval(look, LOOK_EVERY_MS);
  return {
    takePeak() {
      const bytes = peakBytes;
      peakBytes = 0;
      return bytes;
    },
    stop: () => clearInterval(timer),
  };
}

function read(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    // It has ended.
    return "";
  }
}
