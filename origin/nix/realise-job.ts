// One realisation under way: what is wanted, within which limits, and how Nix is asked for it.

import { access } from "node:fs/promises";
import type { StorePath } from "../../registry/naming/store-path.ts";
import type { BuildPolicy } from "./build-policy.ts";
import type { GcRoots } from "./gc-roots.ts";
import { endedBy } from "./hindrance.ts";
import { notStarted } from "./nix-failed.ts";
import { createNixLog, type NixLog } from "./nix-log.ts";
import type { NixLimits } from "./nix-runner.ts";
import type { NixTool } from "./nix-tool.ts";
import type { SpawnResult } from "./spawn.ts";
import { realPath } from "./store-place.ts";
import { findInvalid } from "./validity.ts";

/** What of a FoundPackage is needed to realise it. */
export interface WantedOutputs {
  /** Or the output itself, which is then never built. */
  readonly derivation: string;
  readonly outputs: readonly { readonly name: string; readonly path: StorePath }[];
}

export interface RealiseOptions {
  /** The directory for roots; it must be on a path the Nix daemon can read. */
  readonly rootsDir: string;
  readonly policy: BuildPolicy;
  /** For each single builder, as NIX_TIMEOUT says. */
  readonly builderTimeoutSeconds: number;
  /** For everything together, downloads included. */
  readonly deadlineMs: number;
  readonly signal: AbortSignal;
  /** Called with the log of each process of Nix that realises, as soon as it is started. */
  readonly onLog?: (log: NixLog) => void;
  /** Called with the derivations that no cache has, before any of them is built. */
  readonly onBuilds?: (derivations: readonly string[]) => void;
}

export interface Job {
  readonly nix: NixTool;
  readonly options: RealiseOptions;
  readonly roots: GcRoots;
  /** Aborted by the caller or by the deadline. */
  readonly signal: AbortSignal;
}

/** Leaves the job from whichever of its processes was running when it was stopped. */
export class Stopped extends Error {}

export interface Realised {
  readonly succeeded: boolean;
  readonly log: NixLog;
}

/** Realises and holds `targets`; all or nothing is held. */
export async function realiseTargets(
  job: Job,
  targets: readonly string[],
  place: string,
): Promise<Realised> {
  let log = createNixLog();
  job.options.onLog?.(log);
  const args = [
    ...["--realise", ...new Set(targets), ...fallback(job)],
    ...["--add-root", job.roots.place(place), "--indirect"],
    // Not with --no-build-output: that is another log format, and the last of the two counts.
    ...["--log-format", "internal-json", "--keep-going"],
    ...["--timeout", String(job.options.builderTimeoutSeconds)],
    // For an hour Nix believes that a cache lacks what it lacked: what has come since is not built.
    ...["--option", "narinfo-cache-negative-ttl", "0"],
  ];
  const result = await run(job, args, {
    onStderrLine: (line) => log.read(line),
    onAgain() {
      log = createNixLog();
      job.options.onLog?.(log);
    },
  });
  if (result.kind === "signalled") log.read(endedBy(result.signal));
  return { succeeded: result.kind === "exited" && result.code === 0, log };
}

/** With it a cache that fails is no error to Nix, and what it should have is built. */
export function fallback({ options }: Job): readonly string[] {
  return options.policy.build === "always" ? ["--fallback"] : [];
}

/** Throws when the job was stopped, so that only ended processes come back. */
export async function run(
  { nix, options, signal }: Job,
  args: readonly string[],
  limits: Pick<NixLimits, "onStderrLine" | "onAgain" | "keepStderrBytes"> = {},
): Promise<SpawnResult> {
  const result = await nix.run("nix-store", args, {
    ...{ deadlineMs: options.deadlineMs, signal, ...limits },
  });
  if (result.kind === "timed-out" || result.kind === "cancelled") throw new Stopped();
  if (result.kind === "not-started") throw notStarted("nix-store", result);
  return result;
}

/** A derivation for its wanted outputs only, so that no cache is asked for the others. */
export function targetsOf(
  wanted: readonly WantedOutputs[],
  gone: ReadonlySet<string>,
): readonly string[] {
  return wanted.flatMap((each): readonly string[] =>
    isBuildable(each, gone)
      ? [`${each.derivation}!${each.outputs.map((output) => output.name).join(",")}`]
      : pathsOf([each]),
  );
}

/** If not, the outputs may still be valid or in a cache. */
export function isBuildable({ derivation }: WantedOutputs, gone: ReadonlySet<string>): boolean {
  return derivation.endsWith(".drv") && !gone.has(derivation);
}

export function pathsOf(wanted: readonly WantedOutputs[]): readonly StorePath[] {
  return wanted.flatMap(({ outputs }) => outputs.map(({ path }) => path));
}

/** Derivations that were collected since they were evaluated. */
export async function findGone(
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

/** Those of which an output is not valid; all where not even that can be asked. */
export async function findUnrealised(
  { nix, signal }: Job,
  wanted: readonly WantedOutputs[],
): Promise<readonly WantedOutputs[]> {
  const invalid = await findInvalid(nix, pathsOf(wanted), signal).catch(() => undefined);
  if (signal.aborted) throw new Stopped();
  if (invalid === undefined) return wanted;
  return wanted.filter(({ outputs }) => outputs.some(({ path }) => invalid.has(path)));
}
