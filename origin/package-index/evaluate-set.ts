// Has Nix say what it knows of every attribute of a set: in slices, each an evaluation that comes after
// everything else and gives way to it. One that an attribute takes down is told again without that, one that
// meets a limit in halves; then it is asked why some failed, as far as the budget goes.

import { setTimeout } from "node:timers/promises";
import type { Log } from "../log/log.ts";
import { askLoadFailure, type Evaluation, type Unanswered } from "../nix/evaluate.ts";
import { deathOf, setFailureOf } from "../nix/look-up.ts";
import {
  type AskedSlice,
  type AttributeGroup,
  lookUpSlice,
  type SliceAnswer,
  type SliceOptions,
} from "../nix/look-up-slice.ts";
import type { SaidOfAttribute } from "../nix/lookup-json.ts";
import type { NixTool } from "../nix/nix-tool.ts";
import type { BlobStore } from "../storage/blob-store.ts";
import { requestDemand } from "../waiting/demand.ts";
import type { Slots } from "../waiting/slots.ts";
import type { IndexThread } from "./index-thread.ts";
import { packSlice, tellSlice } from "./slice.ts";
import type { StoredSlices } from "./stored-slices.ts";
import { aroundPlace, countOf, type IndexWork, MOST_NAMES } from "./work.ts";

export interface EvaluatingOptions {
  readonly nix: NixTool;
  readonly store: BlobStore;
  /** In which pulls are evaluated too, and which it leaves to them. */
  readonly slots: Slots;
  /** Sets whose attributes are told, besides those that ask for it themselves. */
  readonly sets: readonly (readonly string[])[];
  /** Resolves when nobody waits for anything. */
  readonly quiet: () => Promise<void>;
  readonly onStage: (stage: MakingStage) => void;
  readonly log: Pick<Log, "info" | "warn">;
  /** Attributes in the first slice, from which on they are as many as take a while. */
  readonly firstSlice?: number;
  /** What asking why some failed may take in any case. */
  readonly explainingLeastMs?: number;
}

export type MakingStage =
  /** For another process that makes it, or for the package set. */
  | { readonly kind: "waiting" }
  | { readonly kind: "listing" }
  | { readonly kind: "evaluating"; readonly done: number; readonly total: number }
  | { readonly kind: "storing" };

/** Another time it may be. */
export interface NotMade {
  readonly kind: "not-made";
  readonly reason: string;
}

export interface Run {
  readonly evaluation: Evaluation;
  readonly slices: StoredSlices;
  readonly thread: IndexThread;
  readonly work: IndexWork;
  /** What slices are asked by. */
  readonly by: string;
  /** Whether no other process has taken it over. */
  readonly isOwn: () => Promise<boolean>;
}

/** As nixpkgs' own tools go down: a set of kernels' packages is four deep. */
const MOST_DEEP = 4;
/** By then it is known how long they take. */
const FIRST_SLICE = 6000;
/** About what one of nixpkgs takes: what is too many costs an evaluation, and then they are halved. */
const BYTES_A_NAME = 400_000;
const LEAST_SLICE = 50;
/** Its answer is some 4 MB. */
const LARGEST_SLICE = 10_000;
/** So much is lost where a pull needs the place; and each evaluation loads the set anew. */
const SLICE_MS = 60_000;
/** Of a set that fails wherever one looks. */
const MOST_DEATHS = 500;
/** To ask why is an evaluation for each: so much of the time that all the others took. */
const EXPLAINING_PART = 0.05;
const EXPLAINING_LEAST_MS = 1000;
const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 60_000;

/** Rejects with the signal's reason. */
export async function evaluateSet(
  run: Run,
  options: EvaluatingOptions,
): Promise<{ readonly kind: "evaluated"; readonly ms: number } | NotMade> {
  const asking = createAsking(run, options);
  const hindrance =
    (await list(run, options, asking)) ??
    (await evaluateSlices(run, options, asking)) ??
    (await explainFailures(run, options, asking)) ??
    // What failed at first may be a set.
    (await evaluateSlices(run, options, asking));
  return hindrance ?? { kind: "evaluated", ms: asking.spentMs() };
}

type InTurn = SliceAnswer | { readonly kind: "gave-way" };

interface Asking {
  ask(groups: readonly AttributeGroup[], how?: SliceOptions): Promise<InTurn>;
  /** What Nix has said. */
  keep(json: string, groups: readonly AttributeGroup[]): Promise<void>;
  keepEntries(entries: readonly SaidOfAttribute[]): Promise<void>;
  /** Others needed the place: longer each time. */
  pause(): Promise<void>;
  spentMs(): number;
}

function createAsking(run: Run, options: EvaluatingOptions): Asking {
  const { evaluation, slices, thread, work, by } = run;
  const { signal } = evaluation;
  let spentMs = 0;
  let pauseMs = FIRST_PAUSE_MS;
  return {
    async ask(groups, how) {
      await options.quiet();
      signal.throwIfAborted();
      const answer = await inTurn(evaluation, groups, options, (ms) => (spentMs += ms), how);
      if (answer.kind === "said") pauseMs = FIRST_PAUSE_MS;
      return answer;
    },
    async keep(json, groups) {
      const { packed, told } = await thread.read(json, groups);
      await slices.add(packed);
      work.learn(told);
    },
    async keepEntries(entries) {
      if (entries.length === 0) return;
      const slice = { entries, sets: [], images: [], top: [] };
      await slices.add(packSlice(slice, by));
      work.learn(tellSlice(slice));
    },
    async pause() {
      const ms = pauseMs;
      pauseMs = Math.min(2 * ms, LONGEST_PAUSE_MS);
      await setTimeout(ms, undefined, { signal }).catch(() => signal.throwIfAborted());
    },
    spentMs: () => spentMs,
  };
}

/** One evaluation, when there is a place that nobody waits for, until someone does. */
async function inTurn(
  evaluation: Evaluation,
  groups: readonly AttributeGroup[],
  { slots, sets }: EvaluatingOptions,
  onSpent: (ms: number) => void,
  how: SliceOptions = {},
): Promise<InTurn> {
  const demand = requestDemand("the index");
  demand.leave();
  const signal = AbortSignal.any([evaluation.signal, demand.signal]);
  const asked: AskedSlice = { groups, sets, mostNames: MOST_NAMES, mostDeep: MOST_DEEP };
  const evaluate = async () => {
    const startedMs = performance.now();
    const answer = await lookUpSlice({ ...evaluation, signal }, asked, how);
    onSpent(performance.now() - startedMs);
    return answer;
  };
  const answer = await slots.run(evaluate, signal, demand);
  evaluation.signal.throwIfAborted();
  if (answer.kind === "busy" || answer.kind === "cancelled") return { kind: "gave-way" };
  return demand.signal.aborted ? { kind: "gave-way" } : answer;
}

async function list(
  { work, evaluation }: Run,
  { onStage }: EvaluatingOptions,
  { ask, keep, pause }: Asking,
): Promise<NotMade | undefined> {
  while (!work.isListed) {
    onStage({ kind: "listing" });
    const answer = await ask([]);
    if (answer.kind === "said") {
      await keep(answer.json, []);
      if (!work.isListed) return notMade("the package set has no attributes, or too many");
    } else if (answer.kind === "gave-way") await pause();
    else return notMade(reasonOf(answer, evaluation));
  }
  return undefined;
}

async function evaluateSlices(
  { work, evaluation, isOwn }: Run,
  { onStage, nix, firstSlice = fittingSlice(nix.evaluationMemoryBytes) }: EvaluatingOptions,
  { ask, keep, keepEntries, pause }: Asking,
): Promise<NotMade | undefined> {
  const size = createSize(firstSlice);
  let deaths = 0;
  for (;;) {
    onStage({ kind: "evaluating", done: work.done, total: work.total });
    const groups = work.next(size.now());
    if (groups === undefined) return undefined;
    if (!(await isOwn())) return notMade("another process has taken it over");
    const count = countOf(groups);
    const startedMs = performance.now();
    const answer = await ask(groups);
    switch (answer.kind) {
      case "said":
        await keep(answer.json, groups);
        size.took(count, performance.now() - startedMs);
        break;
      case "gave-way":
        work.putBack(...groups);
        size.lost(count);
        await pause();
        break;
      case "stopped":
      case "died": {
        const around = isOverLimit(answer) ? undefined : aroundPlace(groups, answer.at);
        if (around === undefined && count > 1) {
          size.limit(count);
          work.putBack(...groups);
          break;
        }
        deaths += 1;
        // Without a place it may be the set itself, or that it was collected.
        const failure = around === undefined ? await askLoadFailure(evaluation) : undefined;
        if (failure !== undefined) return notMade(reasonOf(failure, evaluation));
        if (deaths > MOST_DEATHS) return notMade(`${deaths} attributes have ended an evaluation`);
        await keepEntries((around?.alone ?? groups).flatMap(failedEntries));
        if (around !== undefined) work.putBack(...around.before, ...around.after);
        break;
      }
      case "unreachable":
      case "cache-failed":
      case "source-unreachable":
      case "host-failed":
        return notMade(reasonOf(answer, evaluation));
      default:
        return answer satisfies never;
    }
  }
}

function fittingSlice(memoryBytes: number): number {
  return Math.min(FIRST_SLICE, Math.floor(memoryBytes / BYTES_A_NAME));
}

/** How many attributes at once. */
function createSize(first: number) {
  let size = first;
  let largest = LARGEST_SLICE;
  const set = (count: number) => {
    size = Math.max(1, Math.min(largest, Math.round(count)));
  };
  return {
    now: () => size,
    took(count: number, ms: number) {
      set(
        Math.max(
          Math.min(LEAST_SLICE, 4 * count),
          Math.min(4 * count, (count * SLICE_MS) / Math.max(1, ms)),
        ),
      );
    },
    lost: (count: number) => set(Math.max(Math.min(LEAST_SLICE, count), count / 2)),
    /** So many are too many. */
    limit(count: number) {
      largest = Math.ceil(count / 2);
      set(largest);
    },
  };
}

async function explainFailures(
  { work, evaluation }: Run,
  { explainingLeastMs = EXPLAINING_LEAST_MS }: EvaluatingOptions,
  { ask, keep, keepEntries, spentMs }: Asking,
): Promise<undefined> {
  const budgetMs = Math.max(explainingLeastMs, EXPLAINING_PART * spentMs());
  const startedMs = spentMs();
  for (const path of work.failed) {
    if (spentMs() - startedMs >= budgetMs) return;
    const groups = [{ set: path.slice(0, -1), names: path.slice(-1) }];
    const answer = await ask(groups, { isStrict: true });
    if (answer.kind === "said") await keep(answer.json, groups);
    else if (answer.kind === "died" && !isOverLimit(answer)) {
      const said = deathOf(evaluation, answer, path.join("."));
      if (said.kind !== "nix-too-old") await keepEntries([{ path, said }]);
    }
  }
}

/** Which says nothing of any one attribute. */
function isOverLimit(answer: Extract<Unanswered, { kind: "stopped" | "died" }>): boolean {
  return answer.kind === "stopped" || answer.metLimit === true;
}

function failedEntries({ set, names }: AttributeGroup): readonly SaidOfAttribute[] {
  return names.map((name) => ({ path: [...set, name], said: { kind: "failed" } }));
}

function notMade(reason: string): NotMade {
  return { kind: "not-made", reason };
}

function reasonOf(answer: Unanswered, evaluation: Evaluation): string {
  switch (answer.kind) {
    case "stopped":
      return `the package set was not listed within ${evaluation.nix.evaluationDeadlineMs / 1000} s`;
    case "unreachable":
      return answer.message;
    case "died": {
      const failure = setFailureOf(evaluation, answer);
      return "message" in failure ? failure.message : failure.kind;
    }
    case "cache-failed":
    case "source-unreachable":
    case "host-failed":
      return answer.reason;
    default:
      return answer satisfies never;
  }
}
