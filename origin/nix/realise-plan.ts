// What Nix would fetch and what it would build, as it says itself before it begins, and whether that
// may be done.

import { parseStorePath, type StorePath } from "../../registry/naming/store-path.ts";
import type { BuildPolicy } from "./build-policy.ts";
import { cacheFailure, type Hindrance, readCacheFailure, readHindrance } from "./hindrance.ts";
import { evaluationMessage, linesOf } from "./nix-error.ts";
import { fallback, type Job, run, Stopped } from "./realise-job.ts";

export interface Plan {
  readonly kind: "plan";
  /** Derivations that no cache has the outputs of. */
  readonly builds: readonly string[];
  /** Store paths that a cache has. */
  readonly fetches: readonly StorePath[];
  /** Store paths that no cache has, wanted without a derivation. */
  readonly unknown: readonly string[];
  /** A cache that was left out because it did not answer: `builds` may be what it has. */
  readonly leftOut: Hindrance | undefined;
}

/** Each narinfo of a closure is a request, some hundred a second; a cache that hangs has no end. */
const PLAN_DEADLINE_MS = 120_000;
/** Of derivations that may not be built. */
const MAX_NAMED = 8;
/** A line for each store path: enough for a hundred thousand. */
const KEEP_PLAN_BYTES = 16 * 1024 * 1024;

export async function askPlan(job: Job, targets: readonly string[]): Promise<Plan | Hindrance> {
  const deadline = AbortSignal.timeout(PLAN_DEADLINE_MS);
  const signal = AbortSignal.any([job.signal, deadline]);
  const args = [
    ...["--realise", "--dry-run", ...new Set(targets), ...fallback(job)],
    // Nix believes for an hour that a cache lacks what it lacked, and for a month what it said of a
    // path, signatures and all: what was mended would not be seen. Whom the daemon does not trust may
    // not say so, and is only warned.
    ...["--option", "narinfo-cache-negative-ttl", "0"],
    ...["--option", "narinfo-cache-positive-ttl", "0"],
  ];
  try {
    const result = await run({ ...job, signal }, args, { keepStderrBytes: KEEP_PLAN_BYTES });
    if (result.kind === "exited" && result.code === 0) return parsePlan(result.stderr);
    const said = "stderr" in result ? result.stderr : result.kind;
    return readHindrance(said) ?? { kind: "host-failed", reason: evaluationMessage(said) };
  } catch (error) {
    if (!(error instanceof Stopped) || job.signal.aborted) throw error;
    const { caches } = job.options.policy;
    const reason = `no answer within ${PLAN_DEADLINE_MS / 1000} s`;
    return cacheFailure(caches.length === 1 ? caches[0] : undefined, reason);
  }
}

const HEADINGS: readonly (readonly [heading: RegExp, list: "builds" | "fetches" | "unknown"])[] = [
  [/^th(?:is derivation|ese \d+ derivations) will be built:$/, "builds"],
  [/^th(?:is path|ese \d+ paths) will be fetched\b.*:$/, "fetches"],
  [/^don't know how to build these paths\b.*:$/, "unknown"],
];

export function parsePlan(stderr: string): Plan {
  const lists = { builds: [] as string[], fetches: [] as string[], unknown: [] as string[] };
  let list: string[] | undefined;
  for (const line of linesOf(stderr)) {
    const heading = HEADINGS.find(([pattern]) => pattern.test(line))?.[1];
    const path = /^ {2}(\/nix\/store\/\S+)$/.exec(line)?.[1];
    if (heading !== undefined) list = lists[heading];
    else if (path !== undefined) list?.push(path);
    else list = undefined;
  }
  const fetches = lists.fetches.flatMap((path) => parseStorePath(path) ?? []);
  return { kind: "plan", ...lists, fetches, leftOut: readCacheFailure(stderr) };
}

/** What keeps the builds of a plan from being done. */
export function refuseBuilds(
  { build, maxSourceBuilds }: BuildPolicy,
  { builds, leftOut }: Plan,
): Hindrance | undefined {
  if (builds.length === 0) return undefined;
  if (build !== "always" && leftOut !== undefined) return leftOut;
  const isRefused = build === "never" || builds.length > (maxSourceBuilds ?? builds.length);
  if (!isRefused) return undefined;
  return {
    ...{ kind: "not-in-caches", count: builds.length, derivations: builds.slice(0, MAX_NAMED) },
    limit: build === "never" ? null : maxSourceBuilds,
  };
}
