// So many at a time, so many waiting, first come first served: what keeps a machine with one store
// from starting a Nix process for everyone who asks.

export interface Slots {
  /**
   * Runs `work` when it is its turn. Busy where too many wait already; rejects with the
   * signal's reason when that is aborted before its turn comes. Work under way is not ended by it.
   */
  run<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T | Busy>;
}

export interface Busy {
  readonly kind: "busy";
  /** How many wait already. */
  readonly waiting: number;
}

export interface SlotsOptions {
  readonly atOnce: number;
  readonly waiting: number;
}

export function createSlots(options: SlotsOptions): Slots {
  const queue = new Set<() => void>();
  let running = 0;

  async function turn(signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const onAbort = () => {
      queue.delete(resolve);
      reject(signal.reason);
    };
    queue.add(resolve);
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      await promise;
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  /** A slot goes from hand to hand, so that nobody can come between. */
  function pass(): void {
    const [next] = queue;
    if (next === undefined) running--;
    else {
      queue.delete(next);
      next();
    }
  }

  return {
    async run(work, signal) {
      signal.throwIfAborted();
      if (running < options.atOnce) running++;
      else if (queue.size >= options.waiting) return { kind: "busy", waiting: queue.size };
      else await turn(signal);
      try {
        return await work();
      } finally {
        pass();
      }
    },
  };
}
