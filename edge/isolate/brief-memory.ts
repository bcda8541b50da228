// Values that may change elsewhere, each remembered until a moment of its own, and all of them within a
// size. Only what was found is remembered: what is absent may be there a second later.

export interface BriefMemory<Value> {
  lookup(key: string, nowMs: number): Value | undefined;
  store(key: string, value: Value, life: Life): void;
  forget(key: string): void;
}

export interface Life {
  /** As it is stored: parsed it takes some more. */
  readonly sizeBytes: number;
  /** Before it is a clock that was set back, by which nothing would end. */
  readonly fromMs: number;
  readonly untilMs: number;
}

interface Remembered<Value> extends Life {
  readonly value: Value;
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
      if (nowMs >= known.fromMs && nowMs < known.untilMs) return known.value;
      forget(key);
      return undefined;
    },
    store(key, value, life) {
      forget(key);
      if (life.sizeBytes > maxTotalBytes) return;
      values.set(key, { value, ...life });
      totalBytes += life.sizeBytes;
      for (const oldest of values.keys()) {
        if (totalBytes <= maxTotalBytes) break;
        forget(oldest);
      }
    },
    forget,
  };
}
