// One evaluation of nix/lookup.nix: a process, and what came of it.

import { readFile, stat } from "node:fs/promises";
import { describeBytes } from "../words/quantities.ts";
import { builderLog } from "./builder-log.ts";
import { hasFixedOutput } from "./fixed-output.ts";
import {
  type OutsideFault,
  readBuildHindrance,
  readCacheFailure,
  readHostFailure,
} from "./hindrance.ts";
import { type LookupAnswer, parseLookupAnswers } from "./lookup-json.ts";
import {
  evaluatedFile,
  evaluationMessage,
  evaluationPlace,
  fetchFailure,
  linesOf,
  neededVersion,
  parseBuildErrors,
  placeOfWords,
} from "./nix-error.ts";
import { notStarted } from "./nix-failed.ts";
import type { NixTool } from "./nix-tool.ts";
import type { PinnedSource } from "./pinned-source.ts";
import { type RefusedPackage, readRefusal } from "./refused-package.ts";
import { type EvaluationOptions, isOutOfMemory, runEvaluation } from "./run-evaluation.ts";
import { realPath } from "./store-place.ts";

export interface Evaluation {
  readonly nix: NixTool;
  readonly source: PinnedSource;
  readonly system: string;
  readonly signal: AbortSignal;
}

export interface Died {
  readonly kind: "died";
  readonly message: string;
  /** Where in the package set, as far as Nix says it: `default.nix:3:1`. */
  readonly place?: string;
  /** Of which it was, where Nix says no place: a path in the store. */
  readonly file?: string;
  readonly needed?: string;
  readonly refused?: RefusedPackage;
  /** It met a limit of this machine's: of memory, or of what is read of it. */
  readonly metLimit?: true;
}

export type Evaluated =
  | { readonly kind: "answered"; readonly answers: readonly LookupAnswer[] }
  | Unanswered;

export type Unanswered =
  | Died
  | OutsideFault
  | { readonly kind: "unreachable"; readonly message: string }
  | { readonly kind: "stopped" };

export async function evaluate(
  evaluation: Evaluation,
  names: readonly string[],
  more: readonly string[] = [],
): Promise<Evaluated> {
  const args = ["--argstr", "names", JSON.stringify(names), ...more];
  const said = await evaluateLookup(evaluation, { args });
  if (said.kind !== "said") return said;
  return { kind: "answered", answers: parseLookupAnswers(JSON.parse(said.json), names) };
}

export type LookupEvaluation = Pick<
  EvaluationOptions,
  "args" | "isReadOnly" | "comesLast" | "onStderrLine"
>;

/** What lookup.nix says, as it is. */
export async function evaluateLookup(
  { nix, source, system, signal }: Evaluation,
  { args = [], ...how }: LookupEvaluation,
): Promise<{ readonly kind: "said"; readonly json: string } | Unanswered> {
  const result = await runEvaluation(nix, "lookup.nix", {
    ...{ source, signal, deadlineMs: nix.evaluationDeadlineMs, ...how },
    args: ["--argstr", "system", system, ...args],
  });
  switch (result.kind) {
    case "exited":
      if (isOutOfMemory(result)) return tooMuchMemory(nix);
      if (result.code !== 0) return await failedEvaluation(nix, result.stderr);
      return { kind: "said", json: result.stdout };
    case "signalled":
      if (isOutOfMemory(result)) return tooMuchMemory(nix);
      // From outside, as the kernel does it when memory is short; anything else is Nix's own crash.
      return isKill(result.signal)
        ? {
            kind: "host-failed",
            reason: `an evaluation was ended by ${result.signal}, most likely for want of memory`,
          }
        : { kind: "died", message: `the evaluation ended with ${result.signal}` };
    case "timed-out":
    case "cancelled":
      return { kind: "stopped" };
    case "not-started":
      throw notStarted("nix-instantiate", result);
    case "too-much-output": {
      const most = describeBytes(result.limitBytes);
      return { kind: "died", message: `it says more than ${most}`, metLimit: true };
    }
    default:
      return result satisfies never;
  }
}

function tooMuchMemory({ evaluationMemoryBytes }: NixTool): Died {
  const most = describeBytes(evaluationMemoryBytes);
  const message = `it takes more than ${most} of memory to evaluate`;
  return { kind: "died", message, metLimit: true };
}

function isKill(signal: NodeJS.Signals): boolean {
  return signal === "SIGKILL" || signal === "SIGTERM";
}

async function failedEvaluation(nix: NixTool, stderr: string): Promise<Unanswered> {
  const message = evaluationMessage(stderr);
  const outside = await readOutsideFault(nix, message, stderr);
  if (outside !== undefined) return outside;
  const unfetched = fetchFailure(stderr);
  if (unfetched !== undefined) return { kind: "unreachable", message: unfetched };
  const [place, needed] = [evaluationPlace(stderr), neededVersion(stderr)];
  const file = place === undefined ? evaluatedFile(stderr) : undefined;
  const refused = readRefusal(stderr);
  return {
    ...{ kind: "died", message },
    ...(place !== undefined && { place }),
    ...(file !== undefined && { file }),
    ...(needed !== undefined && { needed }),
    ...(refused !== undefined && { refused }),
  };
}

/** What is built while it is evaluated may fail as any build, and what is fetched from a cache as well. */
async function readOutsideFault(
  nix: NixTool,
  message: string,
  stderr: string,
): Promise<OutsideFault | undefined> {
  const told = readHostFailure(message) ?? readCacheFile(message);
  if (told !== undefined) return told;
  for (const { derivation, reason, log } of parseBuildErrors(stderr)) {
    // Without its own log format Nix shows what builders write as it comes.
    const said = { reason, log: builderLog(log.length > 0 ? log : linesOf(stderr)) };
    const found = readBuildHindrance(derivation, said, await hasFixedOutput(nix, derivation));
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Other downloads are of a package source. */
function readCacheFile(message: string): OutsideFault | undefined {
  const isOfCache = /^unable to download '[^']*(?:\.narinfo|\/nix-cache-info|\/nar\/[^']*)'/;
  return isOfCache.test(message) ? readCacheFailure(message) : undefined;
}

export type LoadFailure = Exclude<Evaluated, { kind: "answered" | "stopped" }>;

/**
 * Why the package set does not even load, and where; undefined when it does, or nobody can tell. For
 * what keeps a name from being evaluated may be the name's own.
 */
export async function askLoadFailure(evaluation: Evaluation): Promise<LoadFailure | undefined> {
  const loading = await evaluate(evaluation, [], ["--show-trace"]);
  switch (loading.kind) {
    case "answered":
    case "stopped":
      return undefined;
    case "died":
      return await withPlace(evaluation, loading);
    default:
      return loading;
  }
}

/** A set's own words are found where they are written. */
async function withPlace({ nix }: Evaluation, died: Died): Promise<Died> {
  const { file, message } = died;
  if (file === undefined) return died;
  const path = realPath(nix.storeDirectory, file);
  const size = (await stat(path).catch(() => undefined))?.size ?? Number.POSITIVE_INFINITY;
  const text = size > MAX_FILE_BYTES ? "" : await readFile(path, "utf8").catch(() => "");
  return { ...died, place: placeOfWords(file, text, message) };
}

/** The largest of nixpkgs has some 2 MB. */
const MAX_FILE_BYTES = 4 << 20;
