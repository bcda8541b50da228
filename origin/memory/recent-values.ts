// A bounded memory of recent values: the least recently used one makes room.

export interface RecentValues<Value> {
  lookup(key: string): Value | undefined;
  store(key: string, value: Value): void;
}

export function recentValues<Value>(limit: number): RecentValues<Value> {
  // A Map keeps the order of insertion, so re-inserting on use makes its first key the oldest.
  const values = new Map<string, Value>();
  return {
    lookup(key) {
      const value = values.get(key);
      if (value === undefined) return undefined;
      values.delete(key);
      values.set(key, value);
      return value;
    },
    store(key, value) {
      values.delete(key);
      values.set(key, value);
      const [oldest] = values.keys();
      if (values.size > limit && oldest !== undefined) values.delete(oldest);
    },
  };
}
