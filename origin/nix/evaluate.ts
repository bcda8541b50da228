// One evaluation of nix/lookup.nix: a process, and what came of it.

import { describeBytes } from "../words/quantities.ts";
import { type HostFailure, readHostFailure } from "./hindrance.ts";
import { type LookupAnswer, parseLookupAnswers } from "./lookup-json.ts";
import { evaluationMessage, evaluationPlace, fetchFailure, neededVersion } from "./nix-error.ts";
import type { NixTool } from "./nix-tool.ts";
import type { PinnedSource } from "./pinned-source.ts";
import { type RefusedPackage, readRefusal } from "./refused-package.ts";
import { isOutOfMemory, runEvaluation } from "./run-evaluation.ts";

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
  readonly needed?: string;
  readonly refused?: RefusedPackage;
}

export type Evaluated =
  | { readonly kind: "answered"; readonly answers: readonly LookupAnswer[] }
  | Died
  | HostFailure
  | { readonly kind: "unreachable"; readonly message: string }
  | { readonly kind: "stopped" };

export async function evaluate(
  { nix, source, system, signal }: Evaluation,
  names: readonly string[],
  more: readonly string[] = [],
): Promise<Evaluated> {
  const args = ["--argstr", "system", system, "--argstr", "names", JSON.stringify(names), ...more];
  const deadlineMs = nix.evaluationDeadlineMs;
  const result = await runEvaluation(nix, "lookup.nix", { source, args, deadlineMs, signal });
  switch (result.kind) {
    case "exited":
      if (isOutOfMemory(result)) return tooMuchMemory(nix);
      if (result.code !== 0) return failedEvaluation(result.stderr);
      return {
        kind: "answered",
        answers: parseLookupAnswers(JSON.parse(result.stdout), names),
      };
    case "signalled":
      if (isOutOfMemory(result)) return tooMuchMemory(nix);
      return { kind: "died", message: `the evaluation ended with ${result.signal}` };
    case "timed-out":
    case "cancelled":
      return { kind: "stopped" };
    case "not-started":
      throw new Error("nix-instantiate could not be started", { cause: result.error });
    case "too-much-output":
      return { kind: "died", message: `it says more than ${describeBytes(result.limitBytes)}` };
    default:
      return result satisfies never;
  }
}

function tooMuchMemory({ evaluationMemoryBytes }: NixTool): Died {
  const most = describeBytes(evaluationMemoryBytes);
  return { kind: "died", message: `it takes more than ${most} of memory to evaluate` };
}

function failedEvaluation(stderr: string): Evaluated {
  const unfetched = fetchFailure(stderr);
  if (unfetched !== undefined) return { kind: "unreachable", message: unfetched };
  const message = evaluationMessage(stderr);
  const host = readHostFailure(message);
  if (host !== undefined) return host;
  const [place, needed] = [evaluationPlace(stderr), neededVersion(stderr)];
  const refused = readRefusal(stderr);
  return {
    ...{ kind: "died", message },
    ...(place !== undefined && { place }),
    ...(needed !== undefined && { needed }),
    ...(refused !== undefined && { refused }),
  };
}

/**
 * Why the package set does not even load, and where; undefined when it does, or nobody can tell. For
 * what keeps a name from being evaluated may be the name's own.
 */
export async function askLoadFailure(
  evaluation: Evaluation,
): Promise<Pick<Died, "message" | "place"> | undefined> {
  const loading = await evaluate(evaluation, [], ["--show-trace"]);
  return loading.kind === "died" ? loading : undefined;
}
