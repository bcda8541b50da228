// Asks Nix what the names of a recipe are: one evaluation for all of them, and more only for names
// that took it down or did not evaluate.

import type { Lookup } from "../../registry/lookup.ts";
import { type LookupAnswer, parseLookupAnswers } from "./lookup-json.ts";
import { evaluationMessage, fetchFailure } from "./nix-error.ts";
import type { NixTool } from "./nix-tool.ts";
import { featureOptions, type PinnedSource } from "./pinned-source.ts";

/** No answer: nothing is known of the name, and asking again may succeed. */
export type LookupStopped =
  | { readonly kind: "timed-out"; readonly afterMs: number }
  | { readonly kind: "cancelled" }
  /** The package source could not be fetched. */
  | { readonly kind: "unreachable"; readonly message: string };

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

interface Question {
  readonly nix: NixTool;
  readonly source: PinnedSource;
  readonly system: string;
  explanationsLeft: number;
  readonly signal: AbortSignal;
  readonly stopped: () => LookupStopped;
}

type Answers = readonly (Lookup | LookupStopped)[];

async function lookUpBatch(question: Question, names: readonly string[]): Promise<Answers> {
  const answers = await lookUpAtOnce(question, names);
  if (answers !== "died") return answers;
  const loading = await evaluate(question, []);
  if (loading.kind === "unreachable") return names.map(() => loading);
  if (loading.kind === "died") {
    return names.map(() => ({ kind: "evaluation-failed", message: loading.message }));
  }
  return await lookUpHalves(question, names);
}

/** Died: one of several names, or the source itself, took the evaluation down. */
async function lookUpAtOnce(
  question: Question,
  names: readonly string[],
): Promise<Answers | "died"> {
  const batch = await evaluate(question, names);
  switch (batch.kind) {
    case "stopped":
      return names.map(question.stopped);
    case "unreachable":
      return names.map(() => batch);
    case "died":
      if (names.length > 1) return "died";
      return [{ kind: "evaluation-failed", message: batch.message }];
    case "answered":
      return await mapConcurrently(batch.answers, (answer, index) =>
        answer.kind === "failed" ? explain(question, names[index] ?? "") : answer,
      );
    default:
      return batch satisfies never;
  }
}

/**
 * A name that aborts or recurses without end takes the evaluation of all names down. It is narrowed
 * down by halves: among 200 names one costs some 15 evaluations.
 */
async function lookUpHalves(question: Question, names: readonly string[]): Promise<Answers> {
  const middle = Math.ceil(names.length / 2);
  const all: (Lookup | LookupStopped)[] = [];
  for (const half of [names.slice(0, middle), names.slice(middle)]) {
    const answers = await lookUpAtOnce(question, half);
    all.push(...(answers === "died" ? await lookUpHalves(question, half) : answers));
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
  const again = await evaluate(question, [name], "strict");
  if (again.kind === "stopped") return question.stopped();
  if (again.kind === "unreachable") return again;
  if (again.kind === "died") return { kind: "evaluation-failed", message: again.message };
  const [answer] = again.answers;
  if (answer === undefined || answer.kind === "failed") {
    throw new Error(`a strict lookup of ${JSON.stringify(name)} gave no answer`);
  }
  return answer;
}

type Evaluated =
  | { readonly kind: "answered"; readonly answers: readonly LookupAnswer[] }
  | { readonly kind: "died"; readonly message: string }
  | { readonly kind: "unreachable"; readonly message: string }
  | { readonly kind: "stopped" };

async function evaluate(
  { nix, source, system, signal }: Question,
  names: readonly string[],
  strictness?: "strict",
): Promise<Evaluated> {
  const result = await nix.run(
    "nix-instantiate",
    [
      // Without read-write mode no derivation is written, and then none can be realised.
      ...["--eval", "--strict", "--json", "--read-write-mode"],
      ...featureOptions(source),
      `${nix.expressions}/lookup.nix`,
      ...["--argstr", "source", JSON.stringify(source)],
      ...["--argstr", "system", system],
      ...["--argstr", "names", JSON.stringify(names)],
      ...(strictness === "strict" ? ["--arg", "strict", "true"] : []),
    ],
    { deadlineMs: nix.evaluationDeadlineMs, signal },
  );
  switch (result.kind) {
    case "exited":
      if (result.code !== 0) return failedEvaluation(result.stderr);
      return {
        kind: "answered",
        answers: parseLookupAnswers(JSON.parse(result.stdout), names.length),
      };
    case "signalled":
      return { kind: "died", message: `the evaluation ended with ${result.signal}` };
    case "timed-out":
    case "cancelled":
      return { kind: "stopped" };
    case "not-started":
      throw new Error("nix-instantiate could not be started", { cause: result.error });
    case "too-much-output":
      throw new Error(`nix-instantiate wrote more than ${result.limitBytes} bytes`);
    default:
      return result satisfies never;
  }
}

function failedEvaluation(stderr: string): Evaluated {
  const unfetched = fetchFailure(stderr);
  return unfetched === undefined
    ? { kind: "died", message: evaluationMessage(stderr) }
    : { kind: "unreachable", message: unfetched };
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
