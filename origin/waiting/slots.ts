// So many at a time, so many waiting, first come first served: what keeps a machine with one store
// from starting a Nix process for everyone who asks.

export interface Slots {
  /**
   * Runs `work` when it is its turn. Busy where too many wait already; cancelled when the signal is
   * aborted before the turn comes. Work under way is not ended by it.
   */
  run<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T | Busy | Cancelled>;
}

export interface Cancelled {
  readonly kind: "cancelled";
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

  function turn(signal: AbortSignal): Promise<"mine" | "left"> {
    const { promise, resolve } = Promise.withResolvers<"mine" | "left">();
    const take = () => {
      signal.removeEventListener("abort", onAbort);
      resolve("mine");
    };
    const onAbort = () => {
      queue.delete(take);
      resolve("left");
    };
    queue.add(take);
    signal.addEventListener("abort", onAbort, { once: true });
    return promise;
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
      if (signal.aborted) return { kind: "cancelled" };
      if (running < options.atOnce) running++;
      else if (queue.size >= options.waiting) return { kind: "busy", waiting: queue.size };
      else if ((await turn(signal)) === "left") return { kind: "cancelled" };
      try {
        return await work();
      } finally {
        pass();
      }
    },
  };
}
