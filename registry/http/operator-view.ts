// What an operator is told of an origin: what was built and failed lately, what waits, and what there is. The
// JSON of `/api/operator`, which an edge also asks its origin for, and what the page shows.

import * as v from "valibot";
import { tagSchema } from "../between/backfill.ts";
import type { Tag } from "../naming/reference.ts";

export interface OperatorView {
  readonly atMs: number;
  readonly process: {
    readonly startedAtMs: number;
    readonly node: string;
    readonly nix: string;
    /** Of the process; what the machine, or the container, has left, and has in all. */
    readonly residentBytes: number;
    readonly availableBytes: number;
    readonly machineBytes: number;
  };
  /** The newest first; of an image its last. */
  readonly builds: readonly MadeBuild[];
  readonly failures: readonly FailedBuild[];
  readonly underWay: readonly BuildUnderWay[];
  readonly queues: readonly Queue[];
  /** Null where there is no edge to fill. */
  readonly outbox: OutboxState | null;
  readonly indexes: readonly IndexTold[];
  /** Those whose images are made anew when they move. */
  readonly trackedTags: readonly string[];
  readonly packings: readonly { readonly form: string; readonly packing: string }[];
  /** Null while it is counted for the first time. */
  readonly storage: StorageTold | null;
  /** Null where the system does not say. */
  readonly nixStore: {
    readonly path: string;
    readonly freeBytes: number;
    readonly bytes: number;
  } | null;
}

export interface MadeBuild {
  readonly image: string;
  readonly tag: Tag;
  readonly endedAtMs: number;
  /** With the time in the queue. */
  readonly ms: number;
  /** Of layers that were packed for it, as clients fetch them. */
  readonly newBytes: number;
}

export interface FailedBuild extends Omit<MadeBuild, "newBytes"> {
  readonly message: string;
}

export interface BuildUnderWay {
  /** With its tag. */
  readonly image: string;
  readonly beganAtMs: number;
  readonly stage: string;
}

export interface Queue {
  readonly name: string;
  readonly running: number;
  readonly atOnce: number;
  readonly waiting: number;
  readonly mayWait: number;
}

export interface OutboxState {
  readonly waiting: number;
  /** Those that the edge did not take at the first try. */
  readonly failing: number;
  /** When the tag of the oldest was resolved; null where nothing waits. */
  readonly oldestResolvedAtMs: number | null;
}

export interface IndexTold {
  readonly pin: string;
  readonly system: string;
  readonly tags: readonly string[];
  readonly sinceMs: number;
  readonly state: string;
  /** Names that are evaluated, or in it; null where the state has none. */
  readonly names: number | null;
  readonly ofNames: number | null;
  readonly reason: string | null;
}

export interface StorageTold {
  readonly countedAtMs: number;
  readonly collections: readonly {
    readonly name: string;
    readonly count: number;
    readonly bytes: number;
    /** There is more: counting is bounded. */
    readonly isPartial: boolean;
  }[];
}

export const MAX_VIEW_BYTES = 1024 * 1024;

const text = v.string();
const number = v.number();
const texts = v.array(text);
const build = { image: text, tag: tagSchema, endedAtMs: number, ms: number };
const viewSchema: v.GenericSchema<unknown, OperatorView> = v.object({
  atMs: number,
  process: v.object({
    ...{ startedAtMs: number, node: text, nix: text },
    ...{ residentBytes: number, availableBytes: number, machineBytes: number },
  }),
  builds: v.array(v.object({ ...build, newBytes: number })),
  failures: v.array(v.object({ ...build, message: text })),
  underWay: v.array(v.object({ image: text, beganAtMs: number, stage: text })),
  queues: v.array(
    v.object({ name: text, running: number, atOnce: number, waiting: number, mayWait: number }),
  ),
  outbox: v.nullable(
    v.object({ waiting: number, failing: number, oldestResolvedAtMs: v.nullable(number) }),
  ),
  indexes: v.array(
    v.object({
      ...{ pin: text, system: text, tags: texts, sinceMs: number, state: text },
      ...{ names: v.nullable(number), ofNames: v.nullable(number), reason: v.nullable(text) },
    }),
  ),
  trackedTags: texts,
  packings: v.array(v.object({ form: text, packing: text })),
  storage: v.nullable(
    v.object({
      countedAtMs: number,
      collections: v.array(
        v.object({ name: text, count: number, bytes: number, isPartial: v.boolean() }),
      ),
    }),
  ),
  nixStore: v.nullable(v.object({ path: text, freeBytes: number, bytes: number })),
});

/** As the origin tells the edge; undefined for anything else. */
export function parseOperatorView(json: unknown): OperatorView | undefined {
  const parsed = v.safeParse(viewSchema, json);
  return parsed.success ? parsed.output : undefined;
}
