// What became of wanted derivations that Nix did not realise: told from its messages, from the logs
// of builders, and from what the derivations depend on.

import { builderLog } from "./builder-log.ts";
import { hasFixedOutput } from "./fixed-output.ts";
import { type Hindrance, readBuildHindrance, readHindrance } from "./hindrance.ts";
import { type BuildError, evaluationMessage, parseBuildErrors } from "./nix-error.ts";
import type { NixLog } from "./nix-log.ts";
import { findUnrealised, isBuildable, type Job, run, type WantedOutputs } from "./realise-job.ts";

export type RealiseFailure = { readonly wanted: WantedOutputs } & (
  | {
      readonly kind: "builder-failed";
      /** The derivation whose builder failed: the wanted one, or one it depends on. */
      readonly derivation: string;
      readonly reason: string;
      readonly log: readonly string[];
    }
  | {
      readonly kind: "builder-timed-out";
      readonly derivation: string;
      readonly afterSeconds: number;
      readonly log: readonly string[];
    }
  /** It was collected since it was evaluated, and no cache has its output: evaluate again. */
  | { readonly kind: "derivation-gone" }
  | Hindrance
);

const MAX_LOG_LINES = 10;
const MAX_READ_LINES = 40;

export async function findFailures(
  job: Job,
  wanted: readonly WantedOutputs[],
  gone: ReadonlySet<string>,
  log: NixLog,
): Promise<readonly RealiseFailure[]> {
  const messages = log.messages();
  const hindrance = readHindrance(messages);
  const failing = await findUnrealised(job, wanted);
  const errors = new Map(parseBuildErrors(messages).map((error) => [error.derivation, error]));
  const failures: RealiseFailure[] = [];
  for (const each of failing) {
    if (!isBuildable(each, gone)) {
      failures.push({ ...(hindrance ?? { kind: "derivation-gone" }), wanted: each });
    } else {
      const error = await findCause(job, each, errors);
      if (error !== undefined) failures.push(await describe(job, each, error, log));
    }
  }
  if (failures.length > 0) return failures;
  // Words of Nix's that nobody knows here say nothing against a package.
  const other = hindrance ?? { kind: "host-failed", reason: evaluationMessage(messages) };
  return failing.map((each) => ({ ...other, wanted: each }));
}

/** The failed build that keeps a wanted derivation from being there: its own, or a dependency's. */
async function findCause(
  job: Job,
  wanted: WantedOutputs,
  errors: ReadonlyMap<string, BuildError>,
): Promise<BuildError | undefined> {
  const own = errors.get(wanted.derivation);
  if (own !== undefined || errors.size === 0) return own;
  const result = await run(job, ["--query", "--requisites", wanted.derivation]);
  if (result.kind !== "exited" || result.code !== 0) return undefined;
  const requisites = new Set(result.stdout.split("\n"));
  return [...errors.values()].find((error) => requisites.has(error.derivation));
}

async function describe(
  job: Job,
  wanted: WantedOutputs,
  error: BuildError,
  nixLog: NixLog,
): Promise<RealiseFailure> {
  const { derivation, reason, timedOutAfterSeconds: afterSeconds } = error;
  const tail = nixLog.tailOf(derivation);
  const shown = builderLog(error.log.length > tail.length ? error.log : tail);
  // A daemon tells as many lines as its own configuration says.
  const whole = shown.length > 0 ? shown : await readLog(job, derivation);
  const log = whole.slice(-MAX_LOG_LINES);
  if (afterSeconds !== null) {
    return { kind: "builder-timed-out", wanted, derivation, afterSeconds, log };
  }
  const isFixedOutput = await hasFixedOutput(job.nix, derivation);
  const hindrance = readBuildHindrance(derivation, { reason, log: whole }, isFixedOutput);
  if (hindrance !== undefined) return { ...hindrance, wanted };
  return { kind: "builder-failed", wanted, derivation, reason, log };
}

/** What Nix has kept of a build's log, for failures of which nothing was shown: of an earlier run. */
async function readLog(job: Job, derivation: string): Promise<readonly string[]> {
  const result = await run(job, ["--read-log", derivation]);
  if (result.kind !== "exited" || result.code !== 0) return [];
  return builderLog(result.stdout.split("\n")).slice(-MAX_READ_LINES);
}
