// Who wants a piece of work. A client that leaves takes nothing with it: what was begun for it is
// finished. But work that nobody waits for gives way where what is waited for needs its place.

/** Whose turns are counted together: a client's address or network. */
export type ClientKey = string;

export interface Demand {
  /** Whether anyone waits for it. */
  isWanted(): boolean;
  /** Those that wait for it, the first of them first. */
  clients(): readonly ClientKey[];
  /** Ends it, unless anyone waits for it: whoever asks from then on has it begun anew. */
  giveWay(): void;
  /** Aborted when it has given way, and when whoever asked for it wants it no more. */
  readonly signal: AbortSignal;
  /** Calls when others wait for it than before, until what is returned is called. */
  watch(listener: () => void): () => void;
}

/** Why work that gave way has no result. */
export class GaveWay extends Error {
  constructor() {
    super("it gave way to work that somebody waits for");
    this.name = "GaveWay";
  }
}

export interface RequestDemand extends Demand {
  /** Nobody waits for it from now on. */
  leave(): void;
}

/** Of one request: wanted until it is left. */
export function requestDemand(client: ClientKey): RequestDemand {
  const ended = new AbortController();
  const changes = listeners();
  let waiting: readonly ClientKey[] = [client];
  return {
    isWanted: () => waiting.length > 0,
    clients: () => waiting,
    giveWay() {
      if (waiting.length === 0) ended.abort(new GaveWay());
    },
    leave() {
      waiting = [];
      changes.call();
    },
    signal: ended.signal,
    watch: changes.add,
  };
}

const OWN: ClientKey = "the origin itself";

/** Of the origin itself, which wants it until the signal is aborted. */
export function ownDemand(signal: AbortSignal): Demand {
  return {
    isWanted: () => !signal.aborted,
    clients: () => [OWN],
    giveWay: () => undefined,
    signal,
    watch(listener) {
      signal.addEventListener("abort", listener, { once: true });
      return () => signal.removeEventListener("abort", listener);
    },
  };
}

/** Of work that is finished whatever happens. */
export const ALWAYS: Demand = ownDemand(new AbortController().signal);

/** Of what is finished for the next who asks, though whoever asked for it wants it no more. */
export function lastingDemand(demand: Demand): Demand {
  const ended = new AbortController();
  const giveWay = () => {
    if (demand.isWanted()) return;
    ended.abort(new GaveWay());
    demand.giveWay();
  };
  return { ...demand, giveWay, signal: ended.signal };
}

export interface JointDemand {
  readonly demand: Demand;
  /** Adds one of those that want it, until what is returned is called. With the last of them it ends. */
  enter(one: Demand): () => void;
  /** It is done: from now on nothing ends it. */
  close(): void;
}

/** Of work that several others need: wanted while any of them is, and they all give way together. */
export function jointDemand(): JointDemand {
  const ended = new AbortController();
  const changes = listeners();
  const entered = new Set<{ readonly one: Demand }>();
  let isDone = false;
  const demand: Demand = {
    isWanted() {
      for (const { one } of entered) if (one.isWanted()) return true;
      return false;
    },
    clients: () => [...new Set([...entered].flatMap(({ one }) => one.clients()))],
    giveWay() {
      if (demand.isWanted()) return;
      for (const { one } of [...entered]) one.giveWay();
    },
    signal: ended.signal,
    watch: changes.add,
  };
  return {
    demand,
    enter(one) {
      const entry = { one };
      entered.add(entry);
      const unwatch = one.watch(changes.call);
      changes.call();
      return () => {
        if (!entered.delete(entry)) return;
        unwatch();
        if (isDone) return;
        if (entered.size === 0) ended.abort(new Error("nobody wants it any more"));
        changes.call();
      };
    },
    close() {
      isDone = true;
    },
  };
}

function listeners() {
  const all = new Set<() => void>();
  return {
    call() {
      for (const listener of [...all]) listener();
    },
    add(listener: () => void): () => void {
      // One function may listen twice.
      const own = () => listener();
      all.add(own);
      return () => all.delete(own);
    },
  };
}
