// The indexes that an origin makes by itself: of the set at the pins that tags have, one after another,
// behind everything else. A tag that moves gives up what was begun for the pin before; what cannot be made
// is tried again after a while; and what is of no tag's pin any more goes.

import { setTimeout } from "node:timers/promises";
import { isYounger } from "../../registry/between/age.ts";
import type { Pin } from "../../registry/naming/pin.ts";
import type { System } from "../../registry/naming/recipe.ts";
import type { Tag } from "../../registry/naming/reference.ts";
import type { Log } from "../log/log.ts";
import type { PinnedTag } from "../sources/pins.ts";
import type { MakingStage } from "./evaluate-set.ts";
import { type MadeIndex, type MakingOptions, makeIndex } from "./make.ts";
import { removeOld } from "./remove-old.ts";

export type IndexState = {
  readonly pin: Pin;
  readonly system: System;
  readonly tags: readonly Tag[];
  /** Of what it says. */
  readonly sinceMs: number;
} & (
  | { readonly kind: "queued" }
  | MakingStage
  | { readonly kind: "failed"; readonly reason: string; readonly isTriedAgain: boolean }
  | {
      readonly kind: "complete";
      readonly madeAtMs: number;
      /** Of attributes that are no sets. */
      readonly count: number;
      /** Null where an earlier process made it. */
      readonly unexplained: number | null;
    }
);

export interface BackgroundIndexes {
  /** The tag has this pin from now on. */
  want(tag: Tag, pinned: PinnedTag): void;
  /** Of the pins that tags have, in the order in which they were wanted. */
  states(): readonly IndexState[];
  /** Resolves when nothing is being made. */
  settled(): Promise<void>;
}

export interface TaggedIndex {
  readonly tag: Tag;
  readonly pinned: PinnedTag;
  readonly system: System;
  readonly madeAtMs: number;
}

export interface BackgroundOptions extends Omit<MakingOptions, "onStage"> {
  readonly systems: readonly System[];
  readonly log: Pick<Log, "info" | "warn" | "error">;
  /** Not where an edge is told first (push.ts). */
  readonly removesOld: boolean;
  /** It is stored, at the pin that the tag has. */
  readonly onMade: (made: TaggedIndex) => void;
  readonly signal: AbortSignal;
  readonly firstRetryMs?: number;
}

interface Job {
  readonly pinned: PinnedTag;
  readonly system: System;
  readonly tags: Set<Tag>;
  readonly stop: AbortController;
  state: IndexState;
  failures: number;
}

/**
 * A machine that has less makes none unless it is told to: a quarter of it is what an evaluation may have, and
 * with less than a gigabyte thousands of names of nixpkgs are told a hundred at a time.
 */
export const INDEXING_MACHINE_BYTES = 4 * 1024 ** 3;

/** Of the tags that clients name there may be many: each index of nixpkgs takes some minutes. */
const MAX_JOBS = 16;
const MAX_FAILURES = 5;
const FIRST_RETRY_MS = 60_000;
const LOG_EVERY_MS = 60_000;

export function createBackgroundIndexes(options: BackgroundOptions): BackgroundIndexes {
  const { systems, log, now, signal, store, onMade, firstRetryMs = FIRST_RETRY_MS } = options;
  const jobs = new Map<string, Job>();
  let running = Promise.resolve();
  let isRunning = false;

  type Told = IndexState extends infer State
    ? State extends IndexState
      ? Omit<State, "pin" | "system" | "tags" | "sinceMs">
      : never
    : never;

  function tell(job: Job, told: Told): void {
    const { pinned, system, tags, state } = job;
    const sinceMs = state.kind === told.kind ? state.sinceMs : now();
    job.state = { pin: pinned.pin, system, tags: [...tags], sinceMs, ...told };
  }

  function add(tag: Tag, pinned: PinnedTag, system: System): void {
    const key = `${pinned.pin} ${system}`;
    const known = jobs.get(key);
    if (known !== undefined) {
      const { state, tags } = known;
      if (tags.has(tag)) return;
      tags.add(tag);
      known.state = { ...state, tags: [...tags] };
      if (state.kind === "complete") {
        onMade({ tag, pinned: known.pinned, system, madeAtMs: state.madeAtMs });
      }
      return;
    }
    if (jobs.size >= MAX_JOBS) {
      log.warn({ tag, pin: pinned.pin, system }, "no index is made: there are many tags");
      return;
    }
    const tags = new Set([tag]);
    const state: IndexState = {
      ...{ kind: "queued", pin: pinned.pin, system, tags: [tag], sinceMs: now() },
    };
    jobs.set(key, { pinned, system, tags, stop: new AbortController(), state, failures: 0 });
  }

  function leave(tag: Tag, pin: Pin): void {
    for (const [key, job] of jobs) {
      if (job.pinned.pin === pin || !job.tags.delete(tag) || job.tags.size > 0) continue;
      job.stop.abort(new Error("no tag has this pin any more"));
      jobs.delete(key);
    }
  }

  async function run(): Promise<void> {
    isRunning = true;
    const next = () => [...jobs.values()].find(({ state }) => state.kind === "queued");
    for (let job = next(); job !== undefined && !signal.aborted; job = next()) await make(job);
    isRunning = false;
  }

  function runOn(): void {
    if (!isRunning) running = run();
  }

  async function make(job: Job): Promise<void> {
    const { pinned, system, tags, stop } = job;
    const facts = { pin: pinned.pin, system, tags: [...tags] };
    const startedMs = now();
    const ended = AbortSignal.any([signal, stop.signal]);
    const onStage = logged(job, facts);
    let made: MadeIndex;
    try {
      made = await makeIndex({ pinned, system }, { ...options, onStage }, ended);
    } catch (error) {
      if (ended.aborted) {
        if (!signal.aborted) log.info(facts, "index given up: its tag has moved");
        return;
      }
      log.error({ err: error, ...facts }, "an index was not made");
      made = { kind: "not-made", reason: String(error) };
    }
    switch (made.kind) {
      case "made":
      case "there":
        complete(job, made, { ...facts, ms: now() - startedMs });
        await removeOthers();
        break;
      case "not-made":
        fail(job, made.reason, facts);
        break;
      default:
        made satisfies never;
    }
  }

  function complete(job: Job, made: Exclude<MadeIndex, { kind: "not-made" }>, facts: object): void {
    const { root } = made;
    const unexplained = made.kind === "made" ? made.unexplained : null;
    tell(job, { kind: "complete", madeAtMs: root.madeAtMs, count: root.count, unexplained });
    if (made.kind === "made") {
      const { packages, evaluatedMs } = made;
      log.info({ ...facts, names: root.count, packages, unexplained, evaluatedMs }, "indexed");
    }
    const { pinned, system } = job;
    for (const tag of job.tags) onMade({ tag, pinned, system, madeAtMs: root.madeAtMs });
  }

  function fail(job: Job, reason: string, facts: object): void {
    job.failures += 1;
    const isTriedAgain = job.failures < MAX_FAILURES;
    const retryMs = firstRetryMs * 4 ** (job.failures - 1);
    tell(job, { kind: "failed", reason, isTriedAgain });
    const retry = isTriedAgain ? { retrySeconds: retryMs / 1000 } : {};
    log.warn({ ...facts, reason, ...retry }, "the index was not made");
    if (!isTriedAgain) return;
    const ended = AbortSignal.any([signal, job.stop.signal]);
    void setTimeout(retryMs, undefined, { signal: ended, ref: false }).then(
      () => {
        tell(job, { kind: "queued" });
        runOn();
      },
      () => undefined,
    );
  }

  /** Tells how far it is, in the log now and then. */
  function logged(job: Job, facts: object): (stage: MakingStage) => void {
    let saidMs = now();
    return (stage) => {
      if (stage.kind === "listing") log.info(facts, "indexing");
      if (stage.kind === "evaluating" && !isYounger(saidMs, now(), LOG_EVERY_MS)) {
        saidMs = now();
        log.info({ ...facts, done: stage.done, of: stage.total }, "indexing");
      }
      tell(job, stage);
    };
  }

  async function removeOthers(): Promise<void> {
    if (!options.removesOld) return;
    const own = new Set([...jobs.values()].map(({ pinned }) => pinned.pin));
    try {
      const removed = await removeOld({ store, own, nowMs: now(), atEdge: null });
      if (removed.roots > 0) log.info(removed, "removed indexes of pins that no tag has any more");
    } catch (error) {
      log.warn({ err: error }, "old indexes could not be removed");
    }
  }

  return {
    want(tag, pinned) {
      leave(tag, pinned.pin);
      for (const system of systems) add(tag, pinned, system);
      runOn();
    },
    states: () => [...jobs.values()].map(({ state }) => state),
    settled: () => running,
  };
}
