// Makes the wanted outputs of derivations valid in the store, by substitution or by building, and
// holds garbage-collection roots on them until the caller lets go.

import { access } from "node:fs/promises";
import type { StorePath } from "../../registry/store-path.ts";
import { type GcRoots, openRoots } from "./gc-roots.ts";
import { type BuildError, evaluationMessage, parseBuildErrors } from "./nix-error.ts";
import { createNixLog, type NixLog } from "./nix-log.ts";
import type { NixTool } from "./nix-tool.ts";
import type { SpawnResult } from "./spawn.ts";
import { realPath } from "./store-place.ts";
import { findInvalid } from "./validity.ts";

/** What of a FoundPackage is needed to realise it. */
export interface WantedOutputs {
  readonly derivation: string;
  readonly outputs: readonly { readonly name: string; readonly path: StorePath }[];
}

export interface RealiseOptions {
  /** The directory for roots; it must be on a path the Nix daemon can read. */
  readonly rootsDir: string;
  /** For each single builder, as NIX_TIMEOUT says. */
  readonly builderTimeoutSeconds: number;
  /** For everything together, downloads included. */
  readonly deadlineMs: number;
  readonly signal: AbortSignal;
  /** Called with the log of each process of Nix that realises, as soon as it is started. */
  readonly onLog?: (log: NixLog) => void;
}

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
  | { readonly kind: "not-realised"; readonly message: string }
);

const MAX_LOG_LINES = 10;

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

/** Leaves the job from whichever of its processes was running when it was stopped. */
class Stopped extends Error {}

interface Job {
  readonly nix: NixTool;
  readonly options: RealiseOptions;
  readonly roots: GcRoots;
  /** Aborted by the caller or by the deadline. */
  readonly signal: AbortSignal;
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
  const failures: RealiseFailure[] = [];
  let pending = wanted;
  for (let pass = 1; pending.length > 0; pass++) {
    const gone = await findGone(job, pending);
    const log = createNixLog();
    job.options.onLog?.(log);
    const result = await runRealise(job, pending, gone, `pass-${pass}`, log);
    if (result.kind === "exited" && result.code === 0) return failures;
    const found = await findFailures(job, pending, gone, log);
    if (found.length === 0) {
      const message = evaluationMessage(log.messages());
      throw new Error(`nix-store --realise failed for no build: ${message}`);
    }
    failures.push(...found);
    const failed = new Set(found.map((failure) => failure.wanted));
    pending = pending.filter((each) => !failed.has(each));
  }
  return failures;
}

async function runRealise(
  job: Job,
  wanted: readonly WantedOutputs[],
  gone: ReadonlySet<string>,
  place: string,
  log: NixLog,
): Promise<SpawnResult> {
  // A derivation for its wanted outputs only, so that no cache is asked for the others. If it is
  // gone the outputs may still be valid or in a cache.
  const targets = wanted.flatMap(({ derivation, outputs }) =>
    gone.has(derivation) || !derivation.endsWith(".drv")
      ? outputs.map((output) => output.path)
      : [`${derivation}!${outputs.map((output) => output.name).join(",")}`],
  );
  return await run(
    job,
    [
      ...["--realise", ...new Set(targets)],
      ...["--add-root", job.roots.place(place), "--indirect"],
      // Not with --no-build-output: that is another log format, and the last of the two counts.
      ...["--log-format", "internal-json", "--keep-going"],
      ...["--timeout", String(job.options.builderTimeoutSeconds)],
    ],
    log.read,
  );
}

/** Throws when the job was stopped, so that only ended processes come back. */
async function run(
  { nix, options, signal }: Job,
  args: readonly string[],
  onStderrLine?: (line: string) => void,
): Promise<SpawnResult> {
  const result = await nix.run("nix-store", args, {
    deadlineMs: options.deadlineMs,
    signal,
    ...(onStderrLine === undefined ? {} : { onStderrLine }),
  });
  if (result.kind === "timed-out" || result.kind === "cancelled") throw new Stopped();
  if (result.kind === "not-started") {
    throw new Error("nix-store could not be started", { cause: result.error });
  }
  return result;
}

async function findGone(
  { nix }: Job,
  wanted: readonly WantedOutputs[],
): Promise<ReadonlySet<string>> {
  const gone = new Set<string>();
  for (const { derivation } of wanted) {
    if (!derivation.endsWith(".drv")) continue;
    await access(realPath(nix.storeDirectory, derivation)).catch(() => gone.add(derivation));
  }
  return gone;
}

async function findFailures(
  job: Job,
  wanted: readonly WantedOutputs[],
  gone: ReadonlySet<string>,
  log: NixLog,
): Promise<readonly RealiseFailure[]> {
  const messages = log.messages();
  const paths = wanted.flatMap(({ outputs }) => outputs.map((output) => output.path));
  const invalid = await findInvalid(job.nix, paths, job.signal).catch((error) => {
    throw job.signal.aborted ? new Stopped() : error;
  });
  const failing = wanted.filter(({ outputs }) => outputs.some(({ path }) => invalid.has(path)));
  const errors = new Map(parseBuildErrors(messages).map((error) => [error.derivation, error]));
  const failures: RealiseFailure[] = [];
  for (const each of failing) {
    if (gone.has(each.derivation)) failures.push({ kind: "derivation-gone", wanted: each });
    else {
      const error = await findCause(job, each, errors);
      if (error !== undefined) failures.push(await describe(job, each, error, log));
    }
  }
  if (failures.length > 0) return failures;
  const message = evaluationMessage(messages);
  return failing.map((each) => ({ kind: "not-realised", wanted: each, message }));
}

/** The failed build that keeps a wanted derivation from being there: its own, or a dependency's. */
async function findCause(
  job: Job,
  wanted: WantedOutputs,
  errors: ReadonlyMap<string, BuildError>,
): Promise<BuildError | undefined> {
  const own = errors.get(wanted.derivation);
  if (own !== undefined || errors.size === 0 || !wanted.derivation.endsWith(".drv")) return own;
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
  const tail = error.log.length > 0 ? error.log : nixLog.tailOf(derivation);
  const log = tail.length > 0 ? tail : await readLog(job, derivation);
  if (afterSeconds === null) return { kind: "builder-failed", wanted, derivation, reason, log };
  return { kind: "builder-timed-out", wanted, derivation, afterSeconds, log };
}

/** What Nix has kept of a build's log, for failures of which nothing was shown: of an earlier run. */
async function readLog(job: Job, derivation: string): Promise<readonly string[]> {
  const result = await run(job, ["--read-log", derivation]);
  if (result.kind !== "exited" || result.code !== 0) return [];
  return result.stdout
    .trimEnd()
    .split("\n")
    .slice(-MAX_LOG_LINES)
    .filter((line) => line !== "");
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
