// Which digests the images of a name have and hold, as far as they were composed lately: plain data,
// bounded. A digest under a name is asked for with each layer, and composing takes reads.

import { isYounger } from "../between/age.ts";
import type { Digest } from "../naming/digest.ts";
import type { Meaning } from "./meaning.ts";

/** An image, or an index, and all that it names. */
export interface Held {
  readonly meaning: Meaning;
  readonly digests: ReadonlySet<Digest>;
}

export interface Holdings {
  /** Those that are known, then those that `compose` finds; it may end before all are composed. */
  holding(
    name: string,
    digest: Digest,
    compose: () => AsyncIterable<Held>,
    nowMs: number,
  ): AsyncGenerator<Meaning>;
  note(name: string, held: Held): void;
}

const MAX_NAMES = 200;
const MAX_HELD = 64;
/** What is not among them is composed no more often. */
const COMPLETE_MS = 1000;

interface Known {
  readonly held: Map<string, Held>;
  completeAtMs: number | undefined;
}

export function createHoldings(): Holdings {
  const names = new Map<string, Known>();

  function of(name: string): Known {
    const known = names.get(name) ?? { held: new Map<string, Held>(), completeAtMs: undefined };
    // A Map keeps the order of insertion, so its first key is that of the one longest not asked for.
    names.delete(name);
    names.set(name, known);
    const [oldest] = names.keys();
    if (names.size > MAX_NAMES && oldest !== undefined) names.delete(oldest);
    return known;
  }

  function note(known: Known, held: Held): void {
    // By what is in them: the same images may have been found at several pins.
    const [first = ""] = held.digests;
    if (known.held.size >= MAX_HELD) known.held.clear();
    known.held.set(`${held.meaning.pin} ${first}`, held);
  }

  return {
    note(name, held) {
      const known = of(name);
      note(known, held);
      known.completeAtMs = undefined;
    },
    async *holding(name, digest, compose, nowMs) {
      const known = of(name);
      for (const { meaning, digests } of [...known.held.values()]) {
        if (digests.has(digest)) yield meaning;
      }
      const { completeAtMs } = known;
      if (completeAtMs !== undefined && isYounger(completeAtMs, nowMs, COMPLETE_MS)) return;
      for await (const held of compose()) {
        note(known, held);
        if (held.digests.has(digest)) yield held.meaning;
      }
      known.completeAtMs = nowMs;
    },
  };
}
