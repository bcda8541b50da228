// Substitute or build? Before Nix may build anything, what a cache has is fetched with nothing
// allowed to be built, and what no cache has is weighed against the operator's policy. Nix by itself
// builds whatever it cannot fetch, for whatever reason that is.

import type { StorePath } from "../../registry/naming/store-path.ts";
import { needsPlan } from "./build-policy.ts";
import {
  cacheFailure,
  type Hindrance,
  readFetchFailure,
  readUnsigned,
  unsignedFailure,
} from "./hindrance.ts";
import { findSigners } from "./narinfo-signers.ts";
import { createNixLog } from "./nix-log.ts";
import type { RealiseFailure } from "./realise-failures.ts";
import {
  findGone,
  findUnrealised,
  isBuildable,
  type Job,
  pathsOf,
  realiseTargets,
  targetsOf,
  type WantedOutputs,
} from "./realise-job.ts";
import { askPlan, type Plan, refuseBuilds } from "./realise-plan.ts";
import { findRefusingCache } from "./refusing-cache.ts";
import { findValid } from "./store-database.ts";

export interface Fetched {
  readonly failures: readonly RealiseFailure[];
  /** Still to be realised, for which Nix may build; all others are valid and held. */
  readonly pending: readonly WantedOutputs[];
}

export async function fetchFirst(job: Job, wanted: readonly WantedOutputs[]): Promise<Fetched> {
  const { policy, onLog, onBuilds } = job.options;
  const missing = needsPlan(policy) ? findMissing(job, wanted) : [];
  if (missing.length === 0) return { failures: [], pending: wanted };
  // Its turn has come, though there is nothing to tell yet.
  onLog?.(createNixLog());
  const gone = await findGone(job, missing);
  const plan = await askPlan(job, targetsOf(missing, gone));
  if (plan.kind !== "plan") return without(wanted, missing, plan);

  const refusing = await askRefusing(job, missing, plan);
  if (refusing !== undefined) return without(wanted, missing, refusing);

  const isUnknown = (each: WantedOutputs) =>
    !isBuildable(each, gone) && pathsOf([each]).some((path) => plan.unknown.includes(path));
  const lost = missing.filter(isUnknown).map(
    (each): RealiseFailure => ({
      ...(plan.leftOut ?? { kind: "derivation-gone" }),
      wanted: each,
    }),
  );
  const refusal = refuseBuilds(policy, plan);
  const built = missing.filter(({ derivation }) => plan.builds.includes(derivation));
  const refused = refusal === undefined ? [] : built.map((each) => ({ ...refusal, wanted: each }));
  const failures = [...lost, ...refused];
  const rest = leave(wanted, failures);
  const building = refusal === undefined ? built : [];
  if (building.length > 0) onBuilds?.(plan.builds);
  // Whatever the reason for which it cannot be fetched, it is built then.
  if (policy.build === "always") return { failures, pending: rest };
  const fetched = await fetchAll(job, leave(rest, building), building, plan);
  return { failures: [...failures, ...fetched.failures], pending: fetched.pending };
}

/** Before it counts that no cache has something. */
async function askRefusing(
  { nix, options, signal }: Job,
  missing: readonly WantedOutputs[],
  { builds, unknown }: Plan,
): Promise<Hindrance | undefined> {
  const { build, caches } = options.policy;
  const [path] = pathsOf(missing);
  const isLacking = builds.length > 0 || unknown.length > 0;
  if (build === "always" || !isLacking || path === undefined) return undefined;
  return await findRefusingCache({ caches, netrcFile: nix.settings?.netrcFile, path, signal });
}

/** By output paths, of which Nix builds none: it has no derivation to build them by. */
async function fetchAll(
  job: Job,
  wanted: readonly WantedOutputs[],
  building: readonly WantedOutputs[],
  plan: Plan,
): Promise<Fetched> {
  const paths = [...pathsOf(wanted), ...(building.length > 0 ? plan.fetches : [])];
  if (paths.length === 0) return { failures: [], pending: building };
  const { succeeded, log } = await realiseTargets(job, paths, "fetched");
  if (succeeded) return { failures: [], pending: building };
  const inputs = paths.slice(pathsOf(wanted).length).map(asWanted);
  const unfetched = await findUnrealised(job, [...wanted, ...inputs]);
  if (unfetched.length === 0) return { failures: [], pending: [...wanted, ...building] };
  const failed = [...wanted.filter((each) => unfetched.includes(each)), ...building];
  return without([...wanted, ...building], failed, await explain(job, log.messages()));
}

function asWanted(path: StorePath): WantedOutputs {
  return { derivation: path, outputs: [{ name: "out", path }] };
}

/** Nothing was built, so what Nix could not do is the fault of a cache or of this host. */
async function explain({ options, signal }: Job, messages: string): Promise<Hindrance> {
  const unsigned = readUnsigned(messages);
  if (unsigned !== undefined) {
    return unsignedFailure(unsigned, await findSigners(unsigned, signal));
  }
  const hindrance = readFetchFailure(messages);
  const { caches } = options.policy;
  return hindrance.kind === "cache-failed" && hindrance.cache === null && caches.length === 1
    ? cacheFailure(caches[0], hindrance.reason)
    : hindrance;
}

/** Those that must be asked for; all of them where the store's own database cannot be read. */
function findMissing({ nix }: Job, wanted: readonly WantedOutputs[]): readonly WantedOutputs[] {
  const valid = nix.database === undefined ? undefined : findValid(nix.database, pathsOf(wanted));
  if (valid === undefined) return wanted;
  return wanted.filter((each) => pathsOf([each]).some((path) => !valid.has(path)));
}

function without(
  wanted: readonly WantedOutputs[],
  failed: readonly WantedOutputs[],
  hindrance: Hindrance,
): Fetched {
  const failures = failed.map((each) => ({ ...hindrance, wanted: each }));
  return { failures, pending: leave(wanted, failures) };
}

function leave(
  wanted: readonly WantedOutputs[],
  gone: readonly (WantedOutputs | RealiseFailure)[],
): readonly WantedOutputs[] {
  const left = new Set(gone.map((each) => ("wanted" in each ? each.wanted : each)));
  return wanted.filter((each) => !left.has(each));
}
