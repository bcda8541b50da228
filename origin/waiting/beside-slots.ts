// Slots whose long work leaves its turn to others: what has run for a while goes on beside them, so that a
// few who compute for ever do not keep everybody else from what takes a moment.

import { setTimeout } from "node:timers/promises";
import type { Demand } from "./demand.ts";
import type { MemoryWatch } from "./memory-watch.ts";
import type { QueuedSlots } from "./slots.ts";

export interface BesideOptions {
  readonly afterMs: number;
  /** How many may run beside; more keep their turn to their end. */
  readonly atMost: number;
  /** Has those end that nobody waits for any more. */
  readonly memory?: MemoryWatch;
}

export function besideSlots(
  slots: QueuedSlots,
  { afterMs, atMost, memory }: BesideOptions,
): QueuedSlots {
  /** In the order they came beside: what was begun last loses the least. */
  const beside = new Set<Demand>();
  memory?.add(() => {
    const unwanted = [...beside].findLast((demand) => !demand.isWanted() && !demand.signal.aborted);
    unwanted?.giveWay();
    return unwanted !== undefined;
  });
  return {
    async run(work, signal, demand) {
      const turn = await slots.run(
        async () => {
          const result = work();
          if (!(await takesLonger(result, afterMs)) || beside.size >= atMost) await result;
          // In an object, since a promise by itself would be waited for.
          return { result };
        },
        signal,
        demand,
      );
      if ("kind" in turn) return turn;
      beside.add(demand);
      try {
        return await turn.result;
      } finally {
        beside.delete(demand);
      }
    },
    queue() {
      const own = slots.queue();
      const running = own.running + beside.size;
      return { ...own, running, atOnce: own.atOnce + atMost };
    },
  };
}

async function takesLonger(work: Promise<unknown>, ms: number): Promise<boolean> {
  const ended = new AbortController();
  const end = () => ended.abort();
  work.then(end, end);
  return await setTimeout(ms, true, { signal: ended.signal }).catch(() => false);
}
