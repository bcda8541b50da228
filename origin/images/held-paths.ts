// Store paths that are valid and stay so while they are used: realised when it is their turn, held by
// GC roots, released.

import type { BuildProgress } from "../../registry/http/building.ts";
import type { StorePath } from "../../registry/naming/store-path.ts";
import type { BuilderFailure } from "../failures/failures.ts";
import type { Log } from "../log/log.ts";
import type { BuildPolicy } from "../nix/build-policy.ts";
import { type Hindrance, isHindrance } from "../nix/hindrance.ts";
import type { NixLog } from "../nix/nix-log.ts";
import type { NixTool } from "../nix/nix-tool.ts";
import {
  type Realisation,
  type RealiseFailure,
  realise,
  type WantedOutputs,
} from "../nix/realise.ts";
import { ALWAYS, type Demand } from "../waiting/demand.ts";
import type { MemoryWatch } from "../waiting/memory-watch.ts";
import { type Busy, createSlots, type QueuedSlots, type Slots } from "../waiting/slots.ts";

export interface WantedPath {
  readonly derivation: string;
  readonly output: string;
  readonly storePath: StorePath;
}

export type HoldFailure =
  | BuilderFailure
  /** Collected since it was evaluated: it must be evaluated again. */
  | { readonly kind: "derivation-gone" }
  | Hindrance
  | NotTried;

/** Nothing is known of what was wanted: trying again may succeed. */
export type NotTried =
  | { readonly kind: "timed-out"; readonly afterMs: number }
  | { readonly kind: "cancelled" }
  | Busy;

export type Holding =
  | {
      readonly kind: "held";
      /** By derivation: what could not be realised. Everything else is valid. */
      readonly failures: ReadonlyMap<string, HoldFailure>;
      readonly release: () => Promise<void>;
    }
  | NotTried;

export interface HeldPaths {
  /** Realises all in one process, when it is their turn; given up when nobody has a use for it. */
  realise(wanted: readonly WantedPath[], demand: Demand): Promise<Holding>;
  /** Uses paths that were valid once: fetched again if a cache has them, but never built. */
  during<T>(
    paths: readonly StorePath[],
    use: () => Promise<T>,
    demand?: Demand,
  ): Promise<T | HoldFailure>;
  /** How far the realisation of any of these derivations is; undefined where none is under way. */
  progress(derivations: readonly string[]): RealiseProgress | undefined;
}

export type RealiseProgress =
  | { readonly kind: "queued" }
  | { readonly kind: "realising"; readonly progress: BuildProgress };

export interface HeldPathsOptions {
  readonly nix: NixTool;
  readonly rootsDir: string;
  readonly policy: BuildPolicy;
  readonly builderTimeoutSeconds: number;
  /** For a realisation with its time in the queue. */
  readonly buildDeadlineMs: number;
  readonly maxBuilds: number;
  readonly maxQueue: number;
  readonly memory: MemoryWatch;
  readonly log: Log;
  /** Aborted when the origin goes down. */
  readonly signal: AbortSignal;
}

/** Derivations in a line of the log. */
const MAX_LOGGED = 20;

/** Of paths that were valid once: no build of minutes may keep a lost layer waiting. */
const FETCHES = { atOnce: 4, waiting: 1000 };

interface UnderWay {
  readonly derivations: ReadonlySet<string>;
  /** Undefined while it waits for its turn. */
  log: NixLog | undefined;
}

/** `queue` is of those that build. */
export function createHeldPaths(options: HeldPathsOptions): HeldPaths & Pick<QueuedSlots, "queue"> {
  const { nix, rootsDir, policy, builderTimeoutSeconds, buildDeadlineMs, log } = options;
  const { maxBuilds, maxQueue, memory } = options;
  const builds = createSlots({ atOnce: maxBuilds, waiting: maxQueue, memory });
  const fetches = createSlots(FETCHES);
  const underWay = new Set<UnderWay>();

  async function hold(
    slots: Slots,
    wanted: readonly WantedPath[],
    demand: Demand,
  ): Promise<Holding> {
    const givenUp = AbortSignal.any([options.signal, demand.signal]);
    const deadline = AbortSignal.timeout(buildDeadlineMs);
    const signal = AbortSignal.any([givenUp, deadline]);
    const derivations = new Set(wanted.map(({ derivation }) => derivation));
    const one: UnderWay = { derivations, log: undefined };
    const onLog = (nixLog: NixLog) => {
      one.log = nixLog;
    };
    const onBuilds = (builds: readonly string[]) => {
      const derivations = builds.slice(0, MAX_LOGGED);
      log.info({ count: builds.length, derivations }, "built from source: no cache has them");
    };
    const limits = { rootsDir, policy, builderTimeoutSeconds, deadlineMs: buildDeadlineMs };
    underWay.add(one);
    log.debug({ derivations: [...derivations] }, "to realise");
    try {
      const realised = await slots.run(
        () => realise(nix, byDerivation(wanted), { ...limits, signal, onLog, onBuilds }),
        signal,
        demand,
      );
      return settled(realised);
    } finally {
      underWay.delete(one);
      log.debug({ derivations: [...derivations], ...one.log?.progress() }, "realised");
    }

    function holding(result: Ended): Holding {
      const failures = failuresOf(result);
      logHindrances(log, failures);
      return { kind: "held", failures, release: result.release };
    }

    function settled(result: Realisation | Busy): Holding {
      switch (result.kind) {
        case "realised":
        case "build-failed":
          return holding(result);
        case "cancelled":
          return givenUp.aborted ? result : { kind: "timed-out", afterMs: buildDeadlineMs };
        case "timed-out":
        case "busy":
          return result;
        default:
          return result satisfies never;
      }
    }
  }

  return {
    realise: (wanted, demand) => hold(builds, wanted, demand),
    async during(paths, use, demand = ALWAYS) {
      const wanted = paths.map((path) => ({ derivation: path, output: "out", storePath: path }));
      const holding = await hold(fetches, wanted, demand);
      if (holding.kind !== "held") return holding;
      try {
        const [failure] = holding.failures.values();
        return failure ?? (await use());
      } finally {
        await holding.release();
      }
    },
    progress(derivations) {
      const one = [...underWay].find((each) =>
        derivations.some((name) => each.derivations.has(name)),
      );
      if (one === undefined) return undefined;
      if (one.log === undefined) return { kind: "queued" };
      return { kind: "realising", progress: one.log.progress() };
    },
    queue: builds.queue,
  };
}

function byDerivation(wanted: readonly WantedPath[]): readonly WantedOutputs[] {
  const outputs = new Map<string, { name: string; path: StorePath }[]>();
  for (const { derivation, output, storePath } of wanted) {
    const known = outputs.get(derivation) ?? [];
    // The same output may be wanted in two forms at once.
    if (!known.some(({ path }) => path === storePath)) {
      known.push({ name: output, path: storePath });
    }
    outputs.set(derivation, known);
  }
  return [...outputs].map(([derivation, wantedOutputs]) => ({
    derivation,
    outputs: wantedOutputs,
  }));
}

type Ended = Extract<Realisation, { kind: "realised" | "build-failed" }>;

function failuresOf(realisation: Ended): ReadonlyMap<string, HoldFailure> {
  if (realisation.kind === "realised") return new Map();
  return new Map(
    realisation.failures.map((failure) => [failure.wanted.derivation, recordFailure(failure)]),
  );
}

function recordFailure(failure: RealiseFailure): HoldFailure {
  switch (failure.kind) {
    case "derivation-gone":
      return { kind: "derivation-gone" };
    case "builder-timed-out":
      return {
        kind: "build-timed-out",
        derivation: failure.derivation,
        afterMs: failure.afterSeconds * 1000,
        log: failure.log,
      };
    case "builder-failed": {
      const { derivation, reason, log } = failure;
      return { kind: "build-failed", derivation, reason, log };
    }
    case "cache-failed":
    case "source-unreachable":
    case "host-failed":
    case "not-in-caches": {
      const { wanted: _, ...hindrance } = failure;
      return hindrance;
    }
    default:
      return failure satisfies never;
  }
}

/** Once for each cause: one cache that is down keeps all packages of a pull from being made. */
function logHindrances(log: Log, failures: ReadonlyMap<string, HoldFailure>): void {
  const hindered = [...failures].filter(([, failure]) => isHindrance(failure));
  for (const group of Map.groupBy(hindered, ([, failure]) => JSON.stringify(failure)).values()) {
    const [, hindrance] = group[0] ?? [];
    const derivations = group.slice(0, MAX_LOGGED).map(([derivation]) => derivation);
    log.error({ ...hindrance, wanted: derivations }, "not realised");
  }
}
