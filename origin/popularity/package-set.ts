// All packages of a pinned set, which their shares in each other's closures are counted over.

import * as v from "valibot";
import type { FoundPackage } from "../../registry/image/lookup.ts";
import type { System } from "../../registry/naming/recipe.ts";
import { lookUp } from "../nix/look-up.ts";
import { evaluationMessage } from "../nix/nix-error.ts";
import type { NixTool } from "../nix/nix-tool.ts";
import type { PinnedSource } from "../nix/pinned-source.ts";
import { runEvaluation } from "../nix/run-evaluation.ts";

export type PackageList =
  | {
      readonly kind: "listed";
      /** One of those that share a derivation; in the order of the first attribute's name. */
      readonly packages: readonly FoundPackage[];
      /** Attributes that do not evaluate, are unfree or for other systems; no packages, too. */
      readonly others: number;
    }
  | { readonly kind: "too-many"; readonly count: number }
  | { readonly kind: "timed-out" }
  | { readonly kind: "failed"; readonly message: string };

export interface ListOptions {
  readonly nix: NixTool;
  readonly source: PinnedSource;
  readonly system: System;
  readonly mostAttributes: number;
  /** Its TimeoutError is an answer; its other reasons are thrown. */
  readonly signal: AbortSignal;
}

const namesSchema = v.object({ count: v.number(), names: v.array(v.string()) });

export async function listPackages(options: ListOptions): Promise<PackageList> {
  const { nix, source, system, signal } = options;
  const answer = await listNames(options);
  if (answer.kind !== "names") return answer;
  const lookups = await lookUp(nix, source, system, answer.names, signal);
  if (timedOut(signal) || lookups.some(({ lookup }) => lookup.kind === "timed-out")) {
    return { kind: "timed-out" };
  }
  const byDerivation = new Map<string, FoundPackage>();
  let others = 0;
  for (const { lookup } of lookups) {
    if (lookup.kind !== "found") others += 1;
    else if (!byDerivation.has(lookup.derivation)) byDerivation.set(lookup.derivation, lookup);
  }
  return { kind: "listed", packages: [...byDerivation.values()], others };
}

type NameList =
  | { readonly kind: "names"; readonly names: readonly string[] }
  | Exclude<PackageList, { kind: "listed" }>;

/** Without those of nested sets where telling them fails: lookups can do without one that aborts. */
async function listNames(options: ListOptions): Promise<NameList> {
  const names = await evaluateNames(options, true);
  return names.kind === "failed" ? await evaluateNames(options, false) : names;
}

async function evaluateNames(options: ListOptions, nested: boolean): Promise<NameList> {
  const { nix, source, system, mostAttributes, signal } = options;
  const most = ["--arg", "most", String(mostAttributes), "--arg", "nested", String(nested)];
  const result = await runEvaluation(nix, "attributes.nix", {
    ...{ source, signal, deadlineMs: nix.evaluationDeadlineMs },
    args: ["--argstr", "system", system, ...most],
  });
  if (timedOut(signal) || result.kind === "timed-out") return { kind: "timed-out" };
  if (result.kind !== "exited") return { kind: "failed", message: `evaluation ${result.kind}` };
  if (result.code !== 0) return { kind: "failed", message: evaluationMessage(result.stderr) };
  const { count, names } = v.parse(namesSchema, JSON.parse(result.stdout));
  return count > mostAttributes ? { kind: "too-many", count } : { kind: "names", names };
}

/** Throws what else the signal was aborted with. */
export function timedOut(signal: AbortSignal): boolean {
  if (!signal.aborted) return false;
  if (signal.reason instanceof Error && signal.reason.name === "TimeoutError") return true;
  throw signal.reason;
}
