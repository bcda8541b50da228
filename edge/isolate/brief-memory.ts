// Values that may change elsewhere, each remembered until a moment of its own, and all of them within a
// size. Only what was found is remembered: what is absent may be there a second later.

export interface BriefMemory<Value> {
  lookup(key: string, nowMs: number): Value | undefined;
  /** `sizeBytes` as it is stored: parsed it takes some more. */
  store(
    key: string,
    value: Value,
    life: { readonly sizeBytes: number; readonly untilMs: number },
  ): void;
  forget(key: string): void;
}

interface Remembered<Value> {
  readonly value: Value;
  readonly sizeBytes: number;
  readonly untilMs: number;
}

export function createBriefMemory<Value>(maxTotalBytes: number): BriefMemory<Value> {
  // In the order in which they were stored, which is about that in which they end.
  const values = new Map<string, Remembered<Value>>();
  let totalBytes = 0;

  function forget(key: string): void {
    const known = values.get(key);
    if (known === undefined) return;
    values.delete(key);
    totalBytes -= known.sizeBytes;
  }

  return {
    lookup(key, nowMs) {
      const known = values.get(key);
      if (known === undefined) return undefined;
      if (nowMs < known.untilMs) return known.value;
      forget(key);
      return undefined;
    },
    store(key, value, { sizeBytes, untilMs }) {
      forget(key);
      if (sizeBytes > maxTotalBytes) return;
      values.set(key, { value, sizeBytes, untilMs });
      totalBytes += sizeBytes;
      for (const oldest of values.keys()) {
        if (totalBytes <= maxTotalBytes) break;
        forget(oldest);
      }
    },
    forget,
  };
}
