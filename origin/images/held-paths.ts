// Store paths that are valid and stay so while they are used: realised when it is their turn, held by
// GC roots, released.

import type { BuildProgress } from "../../registry/building.ts";
import type { StorePath } from "../../registry/store-path.ts";
import type { BuilderFailure } from "../failures/failures.ts";
import type { Log } from "../log.ts";
import type { NixLog } from "../nix/nix-log.ts";
import type { NixTool } from "../nix/nix-tool.ts";
import {
  type Realisation,
  type RealiseFailure,
  realise,
  type WantedOutputs,
} from "../nix/realise.ts";
import { type Busy, createSlots, type Slots } from "../waiting/slots.ts";

export interface WantedPath {
  readonly derivation: string;
  readonly output: string;
  readonly storePath: StorePath;
}

export type HoldFailure =
  | BuilderFailure
  /** Collected since it was evaluated: it must be evaluated again. */
  | { readonly kind: "derivation-gone" }
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
  /** Realises all in one process, when it is their turn; given up when the signal is aborted. */
  realise(wanted: readonly WantedPath[], signal: AbortSignal): Promise<Holding>;
  /** Uses paths that were valid once: fetched again if a cache has them, but never built. */
  during<T>(
    paths: readonly StorePath[],
    use: () => Promise<T>,
    signal?: AbortSignal,
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
  readonly builderTimeoutSeconds: number;
  /** For a realisation with its time in the queue. */
  readonly buildDeadlineMs: number;
  readonly maxBuilds: number;
  readonly maxQueue: number;
  readonly log: Log;
  /** Aborted when the origin goes down. */
  readonly signal: AbortSignal;
}

/** Of paths that were valid once: no build of minutes may keep a lost layer waiting. */
const FETCHES = { atOnce: 4, waiting: 1000 };

interface UnderWay {
  readonly derivations: ReadonlySet<string>;
  /** Undefined while it waits for its turn. */
  log: NixLog | undefined;
}

export function createHeldPaths(options: HeldPathsOptions): HeldPaths {
  const { nix, rootsDir, builderTimeoutSeconds, buildDeadlineMs } = options;
  const builds = createSlots({ atOnce: options.maxBuilds, waiting: options.maxQueue });
  const fetches = createSlots(FETCHES);
  const underWay = new Set<UnderWay>();

  async function hold(
    slots: Slots,
    wanted: readonly WantedPath[],
    wantedSignal: AbortSignal,
  ): Promise<Holding> {
    const givenUp = AbortSignal.any([options.signal, wantedSignal]);
    const deadline = AbortSignal.timeout(buildDeadlineMs);
    const signal = AbortSignal.any([givenUp, deadline]);
    const derivations = new Set(wanted.map(({ derivation }) => derivation));
    const one: UnderWay = { derivations, log: undefined };
    const onLog = (log: NixLog) => {
      one.log = log;
    };
    const limits = { rootsDir, builderTimeoutSeconds, deadlineMs: buildDeadlineMs };
    underWay.add(one);
    options.log.debug({ derivations: [...derivations] }, "to realise");
    try {
      const realised = await slots.run(
        () => realise(nix, byDerivation(wanted), { ...limits, signal, onLog }),
        signal,
      );
      return settled(realised);
    } finally {
      underWay.delete(one);
      options.log.debug({ derivations: [...derivations], ...one.log?.progress() }, "realised");
    }

    function settled(result: Realisation | Busy): Holding {
      switch (result.kind) {
        case "realised":
        case "build-failed":
          return { kind: "held", failures: failuresOf(result), release: result.release };
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
    realise: (wanted, signal) => hold(builds, wanted, signal),
    async during(paths, use, signal = options.signal) {
      const wanted = paths.map((path) => ({ derivation: path, output: "out", storePath: path }));
      const holding = await hold(fetches, wanted, signal);
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

function failuresOf(
  realisation: Extract<Realisation, { kind: "realised" | "build-failed" }>,
): ReadonlyMap<string, HoldFailure> {
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
    case "not-realised": {
      const { derivation } = failure.wanted;
      return { kind: "build-failed", derivation, reason: failure.message, log: [] };
    }
    default:
      return failure satisfies never;
  }
}
