// So many at a time, so many waiting: what keeps a machine with one store from starting a Nix process
// for everyone who asks. Clients take turns, and none fills the queue for the others. What nobody
// waits for comes last, and gives way where its place is needed or memory is short.

import { recentValues } from "../memory/recent-values.ts";
import type { ClientKey, Demand } from "./demand.ts";
import type { MemoryWatch } from "./memory-watch.ts";

export interface Slots {
  /**
   * Runs `work` when it is its turn. Busy where too many wait; cancelled when the signal is aborted
   * before the turn comes. Work under way is not ended by it: work that gives way has its demand's
   * signal aborted, and keeps its slot until it has ended.
   */
  run<T>(
    work: () => Promise<T>,
    signal: AbortSignal,
    demand: Demand,
  ): Promise<T | Busy | Cancelled>;
}

export interface QueuedSlots extends Slots {
  queue(): QueueState;
}

/** How many run and wait, and how many may. */
export interface QueueState {
  readonly running: number;
  readonly atOnce: number;
  readonly waiting: number;
  readonly mayWait: number;
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
  /** Absent for work that takes little. */
  readonly memory?: MemoryWatch;
}

/** Of whose last turns is known; whoever is not known is next. */
const MAX_CLIENTS = 1000;
const NOBODY: ClientKey = "";

interface Place {
  readonly demand: Demand;
  /** Counted to its share of the queue. */
  readonly client: ClientKey;
  readonly settle: (turn: "mine" | Busy | Cancelled) => void;
  isGivingWay: boolean;
}

export function createSlots(options: SlotsOptions): QueuedSlots {
  /** Both in the order they came in. */
  const queue = new Set<Place>();
  const running = new Set<Place>();
  const lastTurns = recentValues<number>(MAX_CLIENTS);
  let turns = 0;
  options.memory?.add(endOne);

  /** A slot goes from hand to hand, so that nobody can come between. */
  function fill(): void {
    while (running.size < options.atOnce) {
      const next = nextOf(queue);
      if (next === undefined) break;
      queue.delete(next);
      occupy(next);
    }
    while (needed() > 0 && endOne());
  }

  /** How many wait for whom no place is being left. */
  function needed(): number {
    const isWanted = ({ demand }: Place) => demand.isWanted();
    const isGivingWay = (place: Place) => place.isGivingWay;
    return [...queue].filter(isWanted).length - [...running].filter(isGivingWay).length;
  }

  function occupy(place: Place): void {
    running.add(place);
    turns += 1;
    lastTurns.store(nextClient(place), turns);
    place.settle("mine");
  }

  /** What is waited for, by whose turn is the longest ago; then the rest. */
  function nextOf(places: Iterable<Place>): Place | undefined {
    const all = [...places];
    const wanted = all.filter(({ demand }) => demand.isWanted());
    const [first, ...others] = wanted;
    if (first === undefined) return all[0];
    return others.reduce((next, each) => (turnOf(each) < turnOf(next) ? each : next), first);
  }

  function nextClient({ demand, client }: Place): ClientKey {
    const [first = client, ...others] = demand.clients();
    return others.reduce((next, each) => (lastTurn(each) < lastTurn(next) ? each : next), first);
  }

  const lastTurn = (client: ClientKey) => lastTurns.lookup(client) ?? 0;
  const turnOf = (place: Place) => lastTurn(nextClient(place));

  /** Of what nobody waits for, that which was begun last: it loses the least. */
  function endOne(): boolean {
    const place = [...running].findLast(
      ({ demand, isGivingWay }) => !isGivingWay && !demand.isWanted(),
    );
    if (place === undefined) return false;
    place.isGivingWay = true;
    place.demand.giveWay();
    return true;
  }

  /** Whether there is room in the queue, or someone in it has to make some. */
  function makeRoom({ demand, client }: Place): boolean {
    if (queue.size < options.waiting) return true;
    if (!demand.isWanted()) return false;
    // Whoever takes the place of what gives way waits for no more than its end.
    const unwanted = [...running].filter((each) => !each.demand.isWanted()).length;
    if (queue.size < options.waiting + unwanted) return true;
    const last = [...queue].findLast((each) => !each.demand.isWanted()) ?? lastOfFullest(client);
    if (last === undefined) return false;
    queue.delete(last);
    last.settle(busy());
    return true;
  }

  /** The last of the client that has most in the queue, where this one would have less. */
  function lastOfFullest(newcomer: ClientKey): Place | undefined {
    const shares = Map.groupBy(queue, ({ client }) => client);
    const own = shares.get(newcomer)?.length ?? 0;
    const fullest = [...shares.values()].reduce(
      (most, share) => (share.length > most.length ? share : most),
      [],
    );
    return fullest.length > own + 1 ? fullest.at(-1) : undefined;
  }

  function enter(place: Place): void {
    if (running.size >= options.atOnce && !makeRoom(place)) {
      place.settle(busy());
      return;
    }
    queue.add(place);
    fill();
  }

  const busy = (): Busy => ({ kind: "busy", waiting: queue.size });

  /** A slot, a refusal, or the end of the wait. */
  async function waitForTurn(
    demand: Demand,
    signal: AbortSignal,
  ): Promise<Place | Busy | Cancelled> {
    const { promise, resolve } = Promise.withResolvers<Busy | Cancelled | "mine">();
    const client = demand.clients()[0] ?? NOBODY;
    const place: Place = { demand, client, settle: resolve, isGivingWay: false };
    const leave = () => {
      queue.delete(place);
      resolve({ kind: "cancelled" });
    };
    signal.addEventListener("abort", leave, { once: true });
    enter(place);
    const turn = await promise;
    signal.removeEventListener("abort", leave);
    return turn === "mine" ? place : turn;
  }

  return {
    async run(work, signal, demand) {
      if (signal.aborted) return { kind: "cancelled" };
      const unwatch = demand.watch(fill);
      try {
        const place = await waitForTurn(demand, signal);
        if ("kind" in place) return place;
        try {
          return await work();
        } finally {
          running.delete(place);
        }
      } finally {
        unwatch();
        fill();
      }
    },
    queue: () => ({
      ...{ running: running.size, atOnce: options.atOnce },
      ...{ waiting: queue.size, mayWait: options.waiting },
    }),
  };
}
