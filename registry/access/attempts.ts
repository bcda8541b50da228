// What an isolate or a process remembers of those who have shown who they are: who was right lately, so
// that a password is not hashed with every request, and which networks were wrong too often.

import { isYounger } from "../between/age.ts";
import { digestOf } from "../naming/digest.ts";

export interface Attempts {
  /** Whether somebody is known to be right with these words. */
  isRight(words: string, nowMs: number): Promise<boolean>;
  right(words: string, nowMs: number): Promise<void>;
  /** Counts a try before anybody knows whether it is right, so that many at once are as many. */
  begin(network: string, nowMs: number): void;
  /** It was. */
  forgive(network: string): void;
  /** Seconds until a network may try again; undefined where it may now. */
  waitSeconds(network: string, nowMs: number): number | undefined;
  /** From elsewhere: as often wrong as one may be. */
  refuse(network: string, nowMs: number): void;
}

/** So long a password that was changed or taken away still counts where it was used last. */
const RIGHT_MS = 60_000;
const WRONG_MS = 60_000;
export const MAX_WRONG = 10;
const MAX_REMEMBERED = 1000;
const MAX_NETWORKS = 10_000;

interface Wrong {
  readonly sinceMs: number;
  readonly count: number;
}

export function createAttempts(): Attempts {
  const rightAtMs = new Map<string, number>();
  const wrongs = new Map<string, Wrong>();
  // Made when it is first needed: a Worker may make nothing random while it starts.
  let salt: string | undefined;

  /** Neither words nor a hash that means anything elsewhere lie in memory. */
  function keyOf(words: string): Promise<string> {
    salt ??= crypto.randomUUID();
    return digestOf(new TextEncoder().encode(`${salt} ${words}`));
  }

  function wrongsOf(network: string, nowMs: number): Wrong {
    const known = wrongs.get(network);
    const isOver = known === undefined || !isYounger(known.sinceMs, nowMs, WRONG_MS);
    return isOver ? { sinceMs: nowMs, count: 0 } : known;
  }

  function note(network: string, wrong: Wrong): void {
    // Forgetting all of them gives each a few tries more: cheaper than keeping an order.
    if (wrongs.size >= MAX_NETWORKS) wrongs.clear();
    wrongs.set(network, wrong);
  }

  return {
    async isRight(words, nowMs) {
      const atMs = rightAtMs.get(await keyOf(words));
      return atMs !== undefined && isYounger(atMs, nowMs, RIGHT_MS);
    },
    async right(words, nowMs) {
      if (rightAtMs.size >= MAX_REMEMBERED) rightAtMs.clear();
      rightAtMs.set(await keyOf(words), nowMs);
    },
    begin(network, nowMs) {
      const { sinceMs, count } = wrongsOf(network, nowMs);
      note(network, { sinceMs, count: count + 1 });
    },
    forgive(network) {
      const known = wrongs.get(network);
      if (known !== undefined) note(network, { ...known, count: Math.max(0, known.count - 1) });
    },
    refuse(network, nowMs) {
      note(network, { sinceMs: nowMs, count: MAX_WRONG });
    },
    waitSeconds(network, nowMs) {
      const { sinceMs, count } = wrongsOf(network, nowMs);
      if (count < MAX_WRONG) return undefined;
      return Math.max(1, Math.ceil((sinceMs + WRONG_MS - nowMs) / 1000));
    },
  };
}
