// Many small pieces of work on a storage, some at a time.

/** Enough for a bucket far away, few enough to hold in memory. */
const AT_ONCE = 16;

export async function overEach<Item>(
  items: readonly Item[],
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const queue = items.values();
  const worker = async () => {
    for (const item of queue) await work(item);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}
