// Makes the wanted outputs of derivations valid in the store, by substitution or by building, and
// holds garbage-collection roots on them until the caller lets go.

import { fetchFirst } from "./fetch-first.ts";
import { type GcRoots, openRoots } from "./gc-roots.ts";
import { evaluationMessage } from "./nix-error.ts";
import { NixFailed } from "./nix-failed.ts";
import type { NixTool } from "./nix-tool.ts";
import { findFailures, type RealiseFailure } from "./realise-failures.ts";
import {
  findGone,
  type Job,
  type RealiseOptions,
  realiseTargets,
  Stopped,
  targetsOf,
  type WantedOutputs,
} from "./realise-job.ts";

export type { RealiseFailure } from "./realise-failures.ts";
export type { RealiseOptions, WantedOutputs } from "./realise-job.ts";

export type Realisation =
  | { readonly kind: "realised"; readonly release: () => Promise<void> }
  /** What `failures` does not name is valid and held all the same. */
  | {
      readonly kind: "build-failed";
      readonly failures: readonly RealiseFailure[];
      readonly release: () => Promise<void>;
    }
  | { readonly kind: "timed-out"; readonly afterMs: number }
  | { readonly kind: "cancelled" };

export async function realise(
  nix: NixTool,
  wanted: readonly WantedOutputs[],
  options: RealiseOptions,
): Promise<Realisation> {
  const deadline = AbortSignal.timeout(options.deadlineMs);
  const roots = await openRoots(options.rootsDir);
  const signal = AbortSignal.any([options.signal, deadline]);
  const job: Job = { nix, options, roots, signal };
  try {
    const failures = await realiseAll(job, wanted);
    await checkRoots(roots, wanted, failures);
    const { release } = roots;
    if (failures.length > 0) return { kind: "build-failed", failures, release };
    return { kind: "realised", release };
  } catch (error) {
    await roots.release();
    if (!(error instanceof Stopped)) throw error;
    if (options.signal.aborted) return { kind: "cancelled" };
    return { kind: "timed-out", afterMs: options.deadlineMs };
  }
}

/**
 * Nix makes roots only when everything it was given has succeeded, and some failures, such as a
 * derivation for another system, keep it from even trying the rest. So what failed is taken out and
 * the others are realised again, which costs nothing for those that are valid by now.
 */
async function realiseAll(
  job: Job,
  wanted: readonly WantedOutputs[],
): Promise<readonly RealiseFailure[]> {
  const fetched = await fetchFirst(job, wanted);
  const failures = [...fetched.failures];
  let { pending } = fetched;
  for (let pass = 1; pending.length > 0; pass++) {
    const gone = await findGone(job, pending);
    const { succeeded, log } = await realiseTargets(job, targetsOf(pending, gone), `pass-${pass}`);
    if (succeeded) return failures;
    const found = await findFailures(job, pending, gone, log);
    if (found.length === 0) {
      const message = evaluationMessage(log.messages());
      throw new NixFailed(`nix-store --realise failed for no build: ${message}`);
    }
    failures.push(...found);
    const failed = new Set(found.map((failure) => failure.wanted));
    pending = pending.filter((each) => !failed.has(each));
  }
  return failures;
}

/** Whatever Nix said, what is now held must be what the lookups promised. */
async function checkRoots(
  roots: GcRoots,
  wanted: readonly WantedOutputs[],
  failures: readonly RealiseFailure[],
): Promise<void> {
  const failed = new Set(failures.map((failure) => failure.wanted));
  const held = await roots.targets();
  for (const each of wanted) {
    for (const { path } of failed.has(each) ? [] : each.outputs) {
      if (!held.has(path)) throw new Error(`${each.derivation} was realised without ${path}`);
    }
  }
}
