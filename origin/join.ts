// Joins identical concurrent work. Items of a call that nobody is working on are done together, in
// one run; items under way are waited for; nothing is remembered once it is done.

export interface JoinedBatches<Item, Result> {
  /** The results, in the order of `items`. Rejects with the first rejection among them. */
  all(items: readonly Item[]): Promise<readonly Result[]>;
}

/** `run` returns one result per item, in order; what it throws reaches every waiter of the run. */
export function joinBatches<Item, Result>(
  keyOf: (item: Item) => string,
  run: (items: readonly Item[]) => Promise<readonly Result[]>,
): JoinedBatches<Item, Result> {
  const underWay = new Map<string, Promise<Result>>();

  function start(items: readonly Item[]): void {
    const results = run(items);
    items.forEach((item, index) => {
      const key = keyOf(item);
      const result = results
        .then((all) => {
          const own = all[index];
          if (own === undefined) throw new Error(`no result for ${key}`);
          return own;
        })
        .finally(() => underWay.delete(key));
      underWay.set(key, result);
    });
  }

  return {
    async all(items) {
      const distinct = new Map(items.map((item) => [keyOf(item), item]));
      const fresh = [...distinct].filter(([key]) => !underWay.has(key)).map(([, item]) => item);
      if (fresh.length > 0) start(fresh);
      return Promise.all(
        items.map((item) => {
          const result = underWay.get(keyOf(item));
          if (result === undefined) throw new Error("work ended before it was waited for");
          return result;
        }),
      );
    },
  };
}
