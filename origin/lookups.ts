// What a pin says of names: remembered for ever where a package was found, in memory where the set
// itself says there is none, and asked of Nix otherwise, all names of concurrent requests apart from
// each other but each only once.

import { type FoundPackage, type Lookup, parseFoundPackage } from "../registry/lookup.ts";
import type { PackageName, System } from "../registry/recipe.ts";
import { joinBatches } from "./join.ts";
import { type LookupStopped, lookUp } from "./nix/evaluate.ts";
import type { NixTool } from "./nix/nix-tool.ts";
import { recentValues } from "./recent.ts";
import { type Busy, createSlots } from "./slots.ts";
import type { PinnedTag } from "./sources/pins.ts";
import type { BlobStore } from "./storage/blob-store.ts";
import { storageKey } from "./storage/keys.ts";
import { parseStoredJson } from "./storage/stored-json.ts";

export interface NamedLookup {
  readonly name: PackageName;
  readonly lookup: Lookup | NoLookup;
}

/** Nothing was found out: asking again may go better. */
export type NoLookup = LookupStopped | Busy;

export interface Lookups {
  /** One per name, in order. Rejects with the signal's reason when that is aborted. */
  find(
    pinned: PinnedTag,
    system: System,
    names: readonly PackageName[],
    signal: AbortSignal,
  ): Promise<readonly NamedLookup[]>;
  /** Asks Nix whatever is known, so that the derivations are in the store again. */
  evaluate(
    pinned: PinnedTag,
    system: System,
    names: readonly PackageName[],
    signal: AbortSignal,
  ): Promise<void>;
}

export interface LookupsOptions {
  readonly nix: NixTool;
  readonly store: BlobStore;
  readonly maxEvaluations: number;
  readonly maxQueue: number;
  /** Aborted when the origin goes down. */
  readonly signal: AbortSignal;
}

const MAX_LOOKUPS_IN_MEMORY = 20_000;

interface Question {
  readonly pinned: PinnedTag;
  readonly system: System;
  readonly name: PackageName;
}

export function rememberLookups(options: LookupsOptions): Lookups {
  const { nix, store } = options;
  const slots = createSlots({ atOnce: options.maxEvaluations, waiting: options.maxQueue });
  const recent = recentValues<Lookup>(MAX_LOOKUPS_IN_MEMORY);
  const keyOf = ({ pinned, system, name }: Question) => storageKey.lookup(pinned.pin, system, name);

  async function recall(question: Question): Promise<Lookup | undefined> {
    const key = keyOf(question);
    const known = recent.lookup(key);
    if (known !== undefined) return known;
    const bytes = await store.lookup(key);
    if (bytes === undefined) return undefined;
    const found = parseFoundPackage(parseStoredJson(bytes));
    if (found !== undefined) recent.store(key, found);
    return found;
  }

  /** All questions of one run come from one call of `find`, so they share a pin and a system. */
  async function ask(
    questions: readonly Question[],
    unwanted: AbortSignal,
  ): Promise<readonly (Lookup | NoLookup)[]> {
    const [first] = questions;
    if (first === undefined) return [];
    const names = questions.map((question) => question.name);
    const signal = AbortSignal.any([options.signal, unwanted]);
    const answers = await slots.run(
      () => lookUp(nix, first.pinned.source, first.system, names, signal),
      signal,
    );
    if ("kind" in answers) return questions.map(() => answers);
    questions.forEach((question, index) => {
      const lookup = answers[index]?.lookup;
      if (lookup !== undefined && isLasting(lookup)) recent.store(keyOf(question), lookup);
    });
    return answers.map((answer) => answer.lookup);
  }

  const asked = joinBatches(keyOf, ask);
  const toQuestions = (pinned: PinnedTag, system: System, names: readonly PackageName[]) =>
    names.map((name): Question => ({ pinned, system, name }));

  return {
    async find(pinned, system, names, signal) {
      const questions = toQuestions(pinned, system, names);
      const recalled = await Promise.all(questions.map(recall));
      const open = questions.filter((_, index) => recalled[index] === undefined);
      const answers = open.length === 0 ? [] : await asked.all(open, signal);
      const byName = new Map(open.map((question, index) => [question.name, answers[index]]));
      return names.map((name, index) => {
        const lookup = recalled[index] ?? byName.get(name);
        if (lookup === undefined) throw new Error(`no lookup of ${name}`);
        return { name, lookup };
      });
    },
    async evaluate(pinned, system, names, signal) {
      await asked.all(toQuestions(pinned, system, names), signal);
    },
  };
}

export function isStopped(lookup: Lookup | NoLookup): lookup is NoLookup {
  switch (lookup.kind) {
    case "timed-out":
    case "cancelled":
    case "unreachable":
    case "busy":
      return true;
    default:
      return false;
  }
}

/** A failed evaluation may have been a failed download: it is asked again. */
function isLasting(lookup: Lookup | LookupStopped): lookup is Lookup {
  switch (lookup.kind) {
    case "evaluation-failed":
    case "timed-out":
    case "cancelled":
    case "unreachable":
      return false;
    default:
      return true;
  }
}

/** Kept once the records of its outputs are: a stored lookup never leads to a missing record. */
export async function storeLookup(
  store: BlobStore,
  pinned: PinnedTag,
  system: System,
  name: PackageName,
  found: FoundPackage,
): Promise<void> {
  const key = storageKey.lookup(pinned.pin, system, name);
  if ((await store.sizeBytes(key)) !== undefined) return;
  await store.store(key, Buffer.from(JSON.stringify(found)));
}
