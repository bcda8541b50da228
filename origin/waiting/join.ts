// Joins identical concurrent work. Items of a call that nobody is working on are done together, in
// one run; items under way are waited for; nothing is remembered once it is done. A run is wanted
// while any of those who asked for it is, and ends early only where they all give way.

import { ALWAYS, type Demand, type JointDemand, jointDemand } from "./demand.ts";

export interface JoinedBatches<Item, Result> {
  /**
   * The results, in the order of `items`. Rejects with the first rejection among them, and with the
   * reason of the demand's signal as soon as that is aborted.
   */
  all(items: readonly Item[], demand?: Demand): Promise<readonly Result[]>;
}

interface UnderWay<Result> {
  readonly run: JointDemand;
  readonly result: Promise<Result>;
}

/**
 * `run` returns one result per item, in order; what it throws reaches everyone who waits for the run.
 * The signal of its demand is aborted when nobody has any use for it: one run is one piece of work
 * for all its items, so it goes on while any of them is of use.
 */
export function joinBatches<Item, Result>(
  keyOf: (item: Item) => string,
  run: (items: readonly Item[], demand: Demand) => Promise<readonly Result[]>,
): JoinedBatches<Item, Result> {
  const underWay = new Map<string, UnderWay<Result>>();

  /** Returns how to leave it: who asks is in it before it begins, for then it is wanted. */
  function start(items: readonly Item[], asking: Demand): () => void {
    const keys = items.map(keyOf);
    const started = jointDemand();
    const forget = (key: string) => {
      if (underWay.get(key)?.run === started) underWay.delete(key);
    };
    // Forgotten at once: whoever asks then starts anew instead of joining what is being ended.
    started.demand.signal.addEventListener("abort", () => keys.forEach(forget), { once: true });
    const leave = started.enter(asking);
    const results = run(items, started.demand);
    keys.forEach((key, index) => {
      const result = results
        .then((all) => {
          const own = all[index];
          if (own === undefined) throw new Error(`no result for ${key}`);
          return own;
        })
        .finally(() => {
          started.close();
          forget(key);
        });
      // A run that was ended has nobody left to hear of its failure.
      result.catch(() => undefined);
      underWay.set(key, { run: started, result });
    });
    return leave;
  }

  return {
    async all(items, demand = ALWAYS) {
      demand.signal.throwIfAborted();
      const distinct = new Map(items.map((item) => [keyOf(item), item]));
      // Before anything is started, for which what nobody wanted until now would have to give way.
      const joined = new Set([...distinct.keys()].flatMap((key) => underWay.get(key)?.run ?? []));
      const leaves = [...joined].map((each) => each.enter(demand));
      const leave = () => {
        for (const each of leaves) each();
      };
      try {
        const fresh = [...distinct].filter(([key]) => !underWay.has(key)).map(([, item]) => item);
        if (fresh.length > 0) leaves.push(start(fresh, demand));
        const results = items.map((item) => {
          const known = underWay.get(keyOf(item));
          if (known === undefined) throw new Error("work ended before it was waited for");
          return known.result;
        });
        return await unlessAborted(Promise.all(results), demand.signal, leave);
      } finally {
        leave();
      }
    },
  };
}

/** Leaves at once where it is aborted: what is left then is ended before anyone else can join it. */
function unlessAborted<T>(work: Promise<T>, signal: AbortSignal, leave: () => void): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = () => {
    leave();
    reject(signal.reason);
  };
  signal.addEventListener("abort", onAbort, { once: true });
  return Promise.race([work, promise]).finally(() => signal.removeEventListener("abort", onAbort));
}
