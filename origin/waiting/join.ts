// Joins identical concurrent work. Items of a call that nobody is working on are done together, in
// one run; items under way are waited for; nothing is remembered once it is done. A run that nobody
// waits for any more is aborted.

export interface JoinedBatches<Item, Result> {
  /**
   * The results, in the order of `items`. Rejects with the first rejection among them, and with the
   * signal's reason as soon as it is aborted: the caller has left then.
   */
  all(items: readonly Item[], signal?: AbortSignal): Promise<readonly Result[]>;
}

interface Run {
  readonly abort: AbortController;
  readonly keys: readonly string[];
  /** Calls that wait for any of its items. */
  waiters: number;
  isDone: boolean;
}

interface UnderWay<Result> {
  readonly run: Run;
  readonly result: Promise<Result>;
}

/**
 * `run` returns one result per item, in order; what it throws reaches every waiter of the run. Its
 * signal is aborted when the last of them has left: one run is one piece of work for all its items,
 * so it goes on while any of them is wanted.
 */
export function joinBatches<Item, Result>(
  keyOf: (item: Item) => string,
  run: (items: readonly Item[], signal: AbortSignal) => Promise<readonly Result[]>,
): JoinedBatches<Item, Result> {
  const underWay = new Map<string, UnderWay<Result>>();

  function start(items: readonly Item[]): void {
    const keys = items.map(keyOf);
    const started: Run = { abort: new AbortController(), keys, waiters: 0, isDone: false };
    const results = run(items, started.abort.signal);
    keys.forEach((key, index) => {
      const result = results
        .then((all) => {
          const own = all[index];
          if (own === undefined) throw new Error(`no result for ${key}`);
          return own;
        })
        .finally(() => {
          started.isDone = true;
          forget(started, key);
        });
      // An aborted run has no waiter left to hear of its failure.
      result.catch(() => undefined);
      underWay.set(key, { run: started, result });
    });
  }

  function forget(ended: Run, key: string): void {
    if (underWay.get(key)?.run === ended) underWay.delete(key);
  }

  function leave(left: Run): void {
    left.waiters--;
    if (left.waiters > 0 || left.isDone) return;
    // Forgotten first: whoever asks now starts anew instead of joining what is being ended.
    for (const key of left.keys) forget(left, key);
    left.abort.abort(new Error("nobody waits for it any more"));
  }

  return {
    async all(items, signal) {
      signal?.throwIfAborted();
      const distinct = new Map(items.map((item) => [keyOf(item), item]));
      const fresh = [...distinct].filter(([key]) => !underWay.has(key)).map(([, item]) => item);
      if (fresh.length > 0) start(fresh);
      const waited = items.map((item) => {
        const known = underWay.get(keyOf(item));
        if (known === undefined) throw new Error("work ended before it was waited for");
        return known;
      });
      const runs = new Set(waited.map((each) => each.run));
      for (const each of runs) each.waiters++;
      try {
        return await unlessAborted(Promise.all(waited.map((each) => each.result)), signal);
      } finally {
        for (const each of runs) leave(each);
      }
    },
  };
}

function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  return Promise.race([work, promise]).finally(() => signal.removeEventListener("abort", onAbort));
}
