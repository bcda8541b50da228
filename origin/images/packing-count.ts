// How far the layers are that one run of packing makes, counted by who packs and stores them. Whoever waits
// for several runs sees them as one.

import type { LayersDone } from "../../registry/http/building.ts";
import type { Stage } from "../waiting/hold-request.ts";

export interface PackingCount {
  /** One more that is to be there; `sizeBytes` is what its store paths take in the store. */
  expect(sizeBytes: number): CountedLayer;
  read(): Counts;
}

/** Each of them counts once, however often it is called. */
export interface CountedLayer {
  packed(): void;
  stored(): void;
}

interface Counts {
  readonly packed: LayersDone;
  readonly stored: LayersDone;
}

const NONE: LayersDone = { done: 0, expected: 0, doneBytes: 0, expectedBytes: 0 };

export function createPackingCount(): PackingCount {
  let packed = NONE;
  let stored = NONE;
  return {
    expect(sizeBytes) {
      packed = oneMore(packed, sizeBytes);
      stored = oneMore(stored, sizeBytes);
      let isPacked = false;
      let isStored = false;
      const counted: CountedLayer = {
        packed() {
          if (!isPacked) packed = oneDone(packed, sizeBytes);
          isPacked = true;
        },
        // What another run has packed is only known to be stored.
        stored() {
          counted.packed();
          if (!isStored) stored = oneDone(stored, sizeBytes);
          isStored = true;
        },
      };
      return counted;
    },
    read: () => ({ packed, stored }),
  };
}

/** Packing while anything is to be packed, then storing. */
export function packingStage(counts: Iterable<PackingCount>): Stage {
  const all = [...counts].map((count) => count.read());
  const packed = sum(all.map((each) => each.packed));
  const stored = sum(all.map((each) => each.stored));
  if (packed.expected === 0) return { kind: "packing" };
  const isPacked = packed.done === packed.expected && stored.done < stored.expected;
  return isPacked ? { kind: "storing", layers: stored } : { kind: "packing", layers: packed };
}

function oneMore(layers: LayersDone, sizeBytes: number): LayersDone {
  const { expected, expectedBytes } = layers;
  return { ...layers, expected: expected + 1, expectedBytes: expectedBytes + sizeBytes };
}

function oneDone(layers: LayersDone, sizeBytes: number): LayersDone {
  const { done, doneBytes } = layers;
  return { ...layers, done: done + 1, doneBytes: doneBytes + sizeBytes };
}

function sum(all: readonly LayersDone[]): LayersDone {
  return all.reduce(
    (total, each) => ({
      done: total.done + each.done,
      expected: total.expected + each.expected,
      doneBytes: total.doneBytes + each.doneBytes,
      expectedBytes: total.expectedBytes + each.expectedBytes,
    }),
    NONE,
  );
}
