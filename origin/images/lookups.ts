// What a pin says of names: remembered for ever where records of a package are stored, in a bounded
// number of slots whatever else a name is or is not, briefly where it did not evaluate; said by the index of
// the pin, where there is one; and asked of Nix otherwise, all new names of a request in one evaluation, each
// name only once at a time.

import { type Found, type Lookup, parseFound } from "../../registry/image/lookup.ts";
import type { Pin } from "../../registry/naming/pin.ts";
import type { PackageName, System } from "../../registry/naming/recipe.ts";
import type { Log } from "../log/log.ts";
import type { FailureMemory } from "../memory/failure-memory.ts";
import { recentValues } from "../memory/recent-values.ts";
import { isOutsideFault } from "../nix/hindrance.ts";
import { type LookupStopped, lookUp, UNEXPLAINED } from "../nix/look-up.ts";
import type { NixTool } from "../nix/nix-tool.ts";
import { LONG_EVALUATION_MS } from "../nix/run-evaluation.ts";
import type { PackageIndexes } from "../package-index/read-index.ts";
import type { PinnedTag } from "../sources/pins.ts";
import type { NoTree, Trees } from "../sources/trees.ts";
import type { BlobStore } from "../storage/blob-store.ts";
import { storageKey } from "../storage/keys.ts";
import { parseStoredJson, storedJson } from "../storage/stored-json.ts";
import { besideSlots } from "../waiting/beside-slots.ts";
import type { Demand } from "../waiting/demand.ts";
import type { Stage } from "../waiting/hold-request.ts";
import { joinBatches } from "../waiting/join.ts";
import type { MemoryWatch } from "../waiting/memory-watch.ts";
import { createSlots, type QueuedSlots, type Slots } from "../waiting/slots.ts";
import type { AskedName, AskedNames } from "./asked-names.ts";

export interface NamedLookup {
  readonly name: PackageName;
  readonly lookup: Lookup | NoLookup;
  /** Nix was not asked. */
  readonly isRemembered: boolean;
}

/** Nothing was found out: asking again may go better. */
export type NoLookup = LookupStopped | NoTree;

export interface Lookups {
  /** One per name, in order. Rejects with the reason of the demand's signal when that is aborted. */
  find(
    pinned: PinnedTag,
    system: System,
    names: readonly PackageName[],
    demand: Demand,
  ): Promise<readonly NamedLookup[]>;
  /** The same where all of them are known; undefined where Nix would have to be asked. */
  known(
    pin: Pin,
    system: System,
    names: readonly PackageName[],
  ): Promise<readonly NamedLookup[] | undefined>;
  /** Asks Nix whatever is known, so that the derivations are in the store again. */
  evaluate(
    pinned: PinnedTag,
    system: System,
    names: readonly PackageName[],
    demand: Demand,
  ): Promise<void>;
  /** What finding names at a pin waits for. */
  stage(pinned: PinnedTag): Stage;
}

export interface LookupsOptions {
  readonly nix: NixTool;
  readonly trees: Pick<Trees, "obtain" | "stage">;
  readonly store: BlobStore;
  /** In which Nix evaluates (`evaluationSlots`). */
  readonly slots: Slots;
  readonly asked: AskedNames;
  readonly indexes: Pick<PackageIndexes, "lookUp">;
  /** Whether a Nix of at least this version is used from now on. */
  readonly bringNix: (needed: string) => Promise<boolean>;
  /** For what did not evaluate, which may have been for want of something at that moment. */
  readonly failures: FailureMemory<Lookup>;
  readonly log: Pick<Log, "error">;
  /** Aborted when the origin goes down. */
  readonly signal: AbortSignal;
}

const MAX_LOOKUPS_IN_MEMORY = 20_000;
/** Names in a line of the log. */
const MAX_LOGGED = 20;
const SET_FAILED = "the package set does not load";
/** What computes for long takes little memory, or it would have met its limit. */
const LONG_FOR_EACH = 4;

interface Question extends AskedName {
  readonly pinned: PinnedTag;
}

export interface EvaluationSlotsOptions {
  readonly maxEvaluations: number;
  readonly maxQueue: number;
  readonly memory: MemoryWatch;
}

/** Of all that evaluates: what is asked for a pull, and behind it what nobody waits for. */
export function evaluationSlots(options: EvaluationSlotsOptions): QueuedSlots {
  const { maxEvaluations, maxQueue, memory } = options;
  return besideSlots(createSlots({ atOnce: maxEvaluations, waiting: maxQueue, memory }), {
    ...{ afterMs: LONG_EVALUATION_MS, atMost: LONG_FOR_EACH * maxEvaluations, memory },
  });
}

export function rememberLookups(options: LookupsOptions): Lookups {
  const { nix, trees, store, slots, asked, indexes, failures, log } = options;
  const recent = recentValues<Lookup>(MAX_LOOKUPS_IN_MEMORY);
  const keyOf = ({ pin, system, name }: AskedName) => storageKey.lookup(pin, system, name);

  async function recall(question: AskedName): Promise<Lookup | undefined> {
    const key = keyOf(question);
    const known = recent.lookup(key) ?? failures.lookup(key);
    if (known !== undefined) return known;
    const stored =
      (await recallFound(question)) ??
      (await asked.recall(question)) ??
      (await indexes.lookUp(question));
    if (stored !== undefined) recent.store(key, stored);
    return stored;
  }

  async function recallFound(question: AskedName): Promise<Found | undefined> {
    const bytes = await store.lookup(keyOf(question));
    return bytes === undefined ? undefined : parseFound(parseStoredJson(bytes));
  }

  async function remember(question: Question, lookup: Lookup | LookupStopped): Promise<void> {
    switch (lookup.kind) {
      case "timed-out":
      case "cancelled":
      case "unreachable":
      case "nix-too-old":
      case "set-failed":
      case "cache-failed":
      case "source-unreachable":
      case "host-failed":
        return;
      case "evaluation-failed":
        if (lookup.message !== UNEXPLAINED) failures.store(keyOf(question), lookup);
        return;
      default:
        recent.store(keyOf(question), lookup);
        await asked.remember(question, lookup);
    }
  }

  /** All questions of one run come from one call of `find`, so they share a pin and a system. */
  async function ask(
    questions: readonly Question[],
    demand: Demand,
  ): Promise<readonly (Lookup | NoLookup)[]> {
    const [first] = questions;
    if (first === undefined) return [];
    const names = questions.map((question) => question.name);
    const signal = AbortSignal.any([options.signal, demand.signal]);
    // Before its turn: whoever waits for a download keeps nobody from evaluating.
    const tree = await trees.obtain(first.pinned, demand);
    if (tree.kind !== "there") return questions.map(() => tree);
    const askNix = () =>
      slots.run(() => lookUp(nix, tree.source, first.system, names, signal), signal, demand);
    let answers = await askNix();
    const needed = neededOf(answers);
    if (needed !== undefined && (await options.bringNix(needed))) answers = await askNix();
    if ("kind" in answers) return questions.map(() => answers);
    const lookups = answers.map((answer) => answer.lookup);
    logStopped(first.pinned, names, lookups);
    await Promise.all(
      questions.map(async (question, index) => {
        const lookup = lookups[index];
        if (lookup !== undefined) await remember(question, lookup);
      }),
    );
    return lookups;
  }

  /** Once for each cause, with the names that it hit. */
  function logStopped(
    { pin }: PinnedTag,
    names: readonly PackageName[],
    lookups: readonly (Lookup | NoLookup)[],
  ): void {
    const causes = new Map<string, NoLookup>();
    for (const lookup of lookups) {
      if (isOutside(lookup)) causes.set(JSON.stringify(lookup), lookup);
    }
    for (const [cause, lookup] of causes) {
      const hit = names.filter((_, place) => JSON.stringify(lookups[place]) === cause);
      const what = lookup.kind === "set-failed" ? SET_FAILED : "not looked up";
      log.error({ ...lookup, pin, names: hit.slice(0, MAX_LOGGED) }, what);
    }
  }

  const asking = joinBatches(keyOf, ask);
  const toQuestions = (pinned: PinnedTag, system: System, names: readonly PackageName[]) =>
    names.map((name): Question => ({ pinned, pin: pinned.pin, system, name }));

  return {
    async find(pinned, system, names, demand) {
      const questions = toQuestions(pinned, system, names);
      const recalled = await Promise.all(questions.map(recall));
      const open = questions.filter((_, index) => recalled[index] === undefined);
      const answers = open.length === 0 ? [] : await asking.all(open, demand);
      const byName = new Map(open.map((question, index) => [question.name, answers[index]]));
      return names.map((name, index) => {
        const lookup = recalled[index] ?? byName.get(name);
        if (lookup === undefined) throw new Error(`no lookup of ${name}`);
        return { name, lookup, isRemembered: recalled[index] !== undefined };
      });
    },
    async known(pin, system, names) {
      const known: NamedLookup[] = [];
      // One after another: of a pin at which nobody asked for them the first is unknown.
      for (const name of names) {
        const lookup = await recall({ pin, system, name });
        if (lookup === undefined) return undefined;
        known.push({ name, lookup, isRemembered: true });
      }
      return known;
    },
    async evaluate(pinned, system, names, demand) {
      await asking.all(toQuestions(pinned, system, names), demand);
    },
    stage: (pinned) => trees.stage(pinned) ?? { kind: "looking-up" },
  };
}

function neededOf(
  answers: NoLookup | readonly { readonly lookup: Lookup | NoLookup }[],
): string | undefined {
  if ("kind" in answers) return undefined;
  return answers.flatMap(({ lookup }) => (lookup.kind === "nix-too-old" ? lookup.needed : []))[0];
}

export function isStopped(lookup: Lookup | NoLookup): lookup is NoLookup {
  switch (lookup.kind) {
    case "timed-out":
    case "cancelled":
    case "unreachable":
    case "nix-too-old":
    case "set-failed":
    case "cache-failed":
    case "source-unreachable":
    case "host-failed":
    case "unknown-tag":
    case "busy":
      return true;
    default:
      return false;
  }
}

/** What an operator must see: it is the fault of nothing that was asked for. */
function isOutside(lookup: Lookup | NoLookup): lookup is NoLookup {
  const { kind } = lookup;
  return kind === "set-failed" || kind === "unreachable" || isOutsideFault(lookup);
}

/** Kept once the records of its outputs are: a stored lookup never leads to a missing record. */
export async function storeLookup(
  store: BlobStore,
  pinned: PinnedTag,
  system: System,
  name: PackageName,
  found: Found,
): Promise<void> {
  const key = storageKey.lookup(pinned.pin, system, name);
  await store.create(key, storedJson(found));
}
