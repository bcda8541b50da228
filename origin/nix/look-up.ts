// Asks Nix what the names of a recipe are: one evaluation for all of them, and more only for names
// that took it down or did not evaluate.

import type { Lookup } from "../../registry/image/lookup.ts";
import {
  askLoadFailure,
  type Died,
  type Evaluation,
  evaluate,
  type LoadFailure,
} from "./evaluate.ts";
import { isOutsideFault, type OutsideFault } from "./hindrance.ts";
import type { NixTool } from "./nix-tool.ts";
import type { PinnedSource } from "./pinned-source.ts";
import type { RefusedPackage } from "./refused-package.ts";

/** No answer: nothing is known of the name, and asking again may succeed. */
export type LookupStopped =
  | { readonly kind: "timed-out"; readonly afterMs: number }
  | { readonly kind: "cancelled" }
  | OutsideFault
  /** The package source could not be fetched. */
  | { readonly kind: "unreachable"; readonly message: string }
  | SetFailed
  | NixTooOld;

/** The package set itself does not load, whatever was asked of it. */
export interface SetFailed {
  readonly kind: "set-failed";
  readonly message: string;
  /** The file with its line, as far as Nix says it. */
  readonly place: string | null;
}

/** Of the package set as a whole, or of one that a name leads to. */
export interface NixTooOld {
  readonly kind: "nix-too-old";
  readonly version: string;
  readonly needed: string;
}

export interface NamedLookup {
  readonly name: string;
  readonly lookup: Lookup | LookupStopped;
}

// Linux takes no single argument of more than 128 KiB.
export const MAX_NAMES_PER_EVALUATION = 200;
/** Each takes an evaluation of its own. */
const MAX_EXPLANATIONS = 16;
/**
 * The message of a name that was not asked why: says nothing of it, so it must not be remembered.
 */
export const UNEXPLAINED = `only ${MAX_EXPLANATIONS} names at a time are asked why they do not evaluate`;
// An evaluation of nixpkgs takes hundreds of megabytes.
const CONCURRENT_EVALUATIONS = 2;

/** In the order of `names`. */
export async function lookUp(
  nix: NixTool,
  source: PinnedSource,
  system: string,
  names: readonly string[],
  signal: AbortSignal,
): Promise<readonly NamedLookup[]> {
  const deadline = AbortSignal.timeout(nix.evaluationDeadlineMs);
  const question: Question = {
    nix,
    source,
    system,
    explanationsLeft: MAX_EXPLANATIONS,
    signal: AbortSignal.any([signal, deadline]),
    stopped: () =>
      signal.aborted
        ? { kind: "cancelled" }
        : { kind: "timed-out", afterMs: nix.evaluationDeadlineMs },
  };
  const known = new Map<string, Lookup | LookupStopped>();
  const possible = names.filter(isPossible);
  for (let start = 0; start < possible.length; start += MAX_NAMES_PER_EVALUATION) {
    const batch = possible.slice(start, start + MAX_NAMES_PER_EVALUATION);
    const answers = await lookUpBatch(question, batch);
    for (const [index, lookup] of answers.entries()) known.set(batch[index] ?? "", lookup);
  }
  return names.map((name) => {
    const lookup = isPossible(name) ? known.get(name) : { kind: "missing" as const, near: [] };
    if (lookup === undefined) throw new Error(`no answer for ${JSON.stringify(name)}`);
    return { name, lookup };
  });
}

/**
 * Nix ends a string at a NUL and takes no half of a surrogate pair, so no attribute has such a
 * name.
 */
function isPossible(name: string): boolean {
  return name.isWellFormed() && !name.includes("\0");
}

interface Question extends Evaluation {
  explanationsLeft: number;
  readonly stopped: () => LookupStopped;
}

type Answers = readonly (Lookup | LookupStopped)[];

async function lookUpBatch(question: Question, names: readonly string[]): Promise<Answers> {
  const answers = await lookUpAtOnce(question, names);
  if (!isDeath(answers)) return answers;
  // One of the names, or the set itself, took the evaluation down.
  const loading = await askLoadFailure(question);
  if (loading !== undefined) return names.map(() => setFailureOf(question, loading));
  return await lookUpHalves(question, names, answers);
}

async function lookUpAtOnce(question: Question, names: readonly string[]): Promise<Answers | Died> {
  const batch = await evaluate(question, names);
  switch (batch.kind) {
    case "stopped":
      return names.map(question.stopped);
    case "unreachable":
    case "cache-failed":
    case "source-unreachable":
    case "host-failed":
      return names.map(() => batch);
    case "died":
      return batch;
    case "answered":
      return await mapConcurrently(batch.answers, (answer, index) =>
        answer.kind === "failed" ? explain(question, names[index] ?? "") : answer,
      );
    default:
      return batch satisfies never;
  }
}

function isDeath(answers: Answers | Died): answers is Died {
  return "kind" in answers;
}

/**
 * A name that aborts or recurses without end takes the evaluation of all names down. It is narrowed
 * down by halves: among 200 names one costs some 15 evaluations.
 */
async function lookUpHalves(
  question: Question,
  names: readonly string[],
  death: Died,
): Promise<Answers> {
  const [name] = names;
  if (names.length === 1 && name !== undefined) return [deathOf(question, death, name)];
  const middle = Math.ceil(names.length / 2);
  const all: (Lookup | LookupStopped)[] = [];
  for (const half of [names.slice(0, middle), names.slice(middle)]) {
    const answers = await lookUpAtOnce(question, half);
    all.push(...(isDeath(answers) ? await lookUpHalves(question, half, answers) : answers));
  }
  return all;
}

/**
 * Inside Nix the message of a caught error is out of reach, so it is asked for without catching.
 */
async function explain(question: Question, name: string): Promise<Lookup | LookupStopped> {
  if (question.explanationsLeft === 0) {
    return { kind: "evaluation-failed", message: UNEXPLAINED };
  }
  question.explanationsLeft -= 1;
  const again = await evaluate(question, [name], ["--arg", "strict", "true"]);
  if (again.kind === "stopped") return question.stopped();
  if (again.kind === "unreachable" || isOutsideFault(again)) return again;
  if (again.kind === "died") return deathOf(question, again, name);
  const [answer] = again.answers;
  if (answer === undefined || answer.kind === "failed") {
    throw new Error(`a strict lookup of ${JSON.stringify(name)} gave no answer`);
  }
  return answer;
}

/** What one that took an evaluation down is. */
export function deathOf(
  { nix, system }: Pick<Evaluation, "nix" | "system">,
  died: Died,
  name: string,
): Lookup | NixTooOld {
  const { message, needed, refused } = died;
  if (needed !== undefined) return { kind: "nix-too-old", version: nix.version, needed };
  return refused === undefined
    ? { kind: "evaluation-failed", message }
    : refusalOf(refused, name, system);
}

export function setFailureOf(
  { nix, system }: Pick<Evaluation, "nix" | "system">,
  loading: LoadFailure,
): Lookup | LookupStopped {
  if (loading.kind !== "died") return loading;
  const { message, place = null, needed } = loading;
  if (needed !== undefined) return { kind: "nix-too-old", version: nix.version, needed };
  // As nix/load.nix says it.
  const isElsewhere = message === `the package source has no packages for ${system}`;
  return isElsewhere ? { kind: "unsupported", system } : { kind: "set-failed", message, place };
}

/** What the set refuses is no failure of it, also where it is a package that another needs. */
function refusalOf(refused: RefusedPackage, name: string, system: string): Lookup {
  const { name: refusedName, ...reason } = refused;
  const needed = isVersionOf(refusedName, name) ? {} : { dependency: refusedName };
  switch (reason.kind) {
    case "unfree":
    case "broken":
      return { ...reason, ...needed };
    case "insecure":
      return { ...reason, name: refusedName, ...needed };
    case "unsupported":
      return { ...reason, system, ...needed };
    default:
      return reason satisfies never;
  }
}

/** Whether `foo-1.0` is what the attribute `set.Foo` gives. */
function isVersionOf(nameAndVersion: string, attribute: string): boolean {
  const own = attribute.slice(attribute.lastIndexOf(".") + 1).toLowerCase();
  return nameAndVersion.toLowerCase().replace(/-\d.*$/, "") === own;
}

async function mapConcurrently<T, R>(
  items: readonly T[],
  map: (item: T, index: number) => Promise<R> | R,
): Promise<R[]> {
  const results: R[] = [];
  const waiting = items.entries();
  const work = async () => {
    for (const [index, item] of waiting) results[index] = await map(item, index);
  };
  await Promise.all(Array.from({ length: CONCURRENT_EVALUATIONS }, work));
  return results;
}
