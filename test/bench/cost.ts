// What a million pulls cost at list prices: the operations of one pull, counted at the Worker's
// bindings, of an image that is kept, of one that the edge composes, and of one that it gets first.

import type { Row, Section } from "./report.ts";
import type { Workbench } from "./workbench.ts";
import type { PulledImage } from "./world/clients.ts";
import {
  AHEAD_MS,
  drained,
  IMAGE,
  keepImage,
  operationsOf,
  pullAtOnce,
  startEdges,
} from "./world/places.ts";
import {
  DOLLARS_PER_GB_ELSEWHERE,
  DOLLARS_PER_MILLION_CPU_MS,
  DOLLARS_PER_MILLION_LOG_EVENTS,
  dollarsOf,
} from "./world/prices.ts";
import type { Operations } from "./world/told.ts";

/** Of packages of the image, and in none of the other pulls. */
const COMBINATION = "curl/git/htop/python3";

export async function measureCost(bench: Workbench): Promise<Section> {
  const edges = await startEdges(bench, "cost");
  const { filled, origin } = edges;
  try {
    await operationsOf(filled);
    await pullAtOnce(filled, IMAGE, 0);
    await drained(origin);
    const cold = await operationsOf(filled);
    const { bytes, layers } = await keepImage(edges);
    await operationsOf(filled);

    const counted = async (name: string, place: string) => {
      const pulled = await pullAtOnce(filled, name, AHEAD_MS, place);
      return { pulled, operations: await operationsOf(filled) };
    };
    const first = await counted(IMAGE, "new-place");
    const later = await counted(IMAGE, "new-place");
    const composed = await counted(COMBINATION, "new-place");
    requireFrom(composed.pulled, "composed");
    const elsewhere = ((bytes * 1e6) / 1e9) * DOLLARS_PER_GB_ELSEWHERE;
    return {
      name: "cost",
      title: `a million pulls of ${layers} layers, ${(bytes / 1e6).toFixed(1)} MB, at list prices`,
      tables: [
        [
          rowOf("kept: later pulls at a location", later.operations),
          rowOf("kept: the first at a location", first.operations),
          rowOf(`composed: ${COMBINATION}, at a location that has its layers`, composed.operations),
          rowOf("all of it new to the edge, with what its origin gives it", cold),
        ],
      ],
      bars: [],
      notes: [
        `operations of one pull, as docker sends its requests, and dollars for a million of them; besides, a million pulls cost $${cents(later.operations.requests * DOLLARS_PER_MILLION_CPU_MS)} for each millisecond of processor time that a request takes, and $${cents(later.operations.requests * DOLLARS_PER_MILLION_LOG_EVENTS)} where every request is logged`,
        `the bytes cost nothing; out of a storage that charges $${DOLLARS_PER_GB_ELSEWHERE} for a GB they were $${elsewhere.toFixed(0)}`,
      ],
    };
  } finally {
    await edges.close();
  }
}

function rowOf(what: string, operations: Operations): Row {
  const { requests, kvReads, kvWrites, r2Reads, r2Writes, cacheReads, cacheWrites } = operations;
  return {
    ...{ pull: what, requests, "KV reads": kvReads, "KV writes": kvWrites },
    ...{ "R2 reads": r2Reads, "R2 writes": r2Writes },
    ...{ "cache reads": cacheReads, "cache writes": cacheWrites },
    "$ for a million": cents(dollarsOf(operations)),
  };
}

const cents = (dollars: number) => dollars.toFixed(2);

function requireFrom({ cacheStatus }: PulledImage, tier: string): void {
  if (!cacheStatus?.includes(`detail=${tier}`)) throw new Error(`not ${tier}: ${cacheStatus}`);
}
