// Store paths that are valid and stay so while they are used: realised, held by GC roots, released.

import type { StorePath } from "../registry/store-path.ts";
import type { BuilderFailure } from "./failures.ts";
import type { NixTool } from "./nix/nix-tool.ts";
import {
  type Realisation,
  type RealiseFailure,
  realise,
  type WantedOutputs,
} from "./nix/realise.ts";

export interface WantedPath {
  readonly derivation: string;
  readonly output: string;
  readonly storePath: StorePath;
}

export type HoldFailure =
  | BuilderFailure
  /** Collected since it was evaluated: it must be evaluated again. */
  | { readonly kind: "derivation-gone" }
  | { readonly kind: "timed-out"; readonly afterMs: number }
  | { readonly kind: "cancelled" };

export type Holding =
  | {
      readonly kind: "held";
      /** By derivation: what could not be realised. Everything else is valid. */
      readonly failures: ReadonlyMap<string, HoldFailure>;
      readonly release: () => Promise<void>;
    }
  | Extract<HoldFailure, { kind: "timed-out" | "cancelled" }>;

export interface HeldPaths {
  /** Realises all in one process. */
  realise(wanted: readonly WantedPath[]): Promise<Holding>;
  /** Uses paths that were valid once: fetched again if a cache has them, but never built. */
  during<T>(paths: readonly StorePath[], use: () => Promise<T>): Promise<T | HoldFailure>;
}

export interface HeldPathsOptions {
  readonly nix: NixTool;
  readonly rootsDir: string;
  readonly builderTimeoutSeconds: number;
  readonly buildDeadlineMs: number;
  /** Aborted when the origin goes down. */
  readonly signal: AbortSignal;
}

export function createHeldPaths(options: HeldPathsOptions): HeldPaths {
  const { nix, rootsDir, builderTimeoutSeconds, buildDeadlineMs: deadlineMs, signal } = options;

  async function hold(wanted: readonly WantedPath[]): Promise<Holding> {
    const limits = { rootsDir, builderTimeoutSeconds, deadlineMs, signal };
    const realisation = await realise(nix, byDerivation(wanted), limits);
    if (realisation.kind === "timed-out" || realisation.kind === "cancelled") return realisation;
    const { release } = realisation;
    return { kind: "held", failures: failuresOf(realisation), release };
  }

  return {
    realise: hold,
    async during(paths, use) {
      const wanted = paths.map((path) => ({ derivation: path, output: "out", storePath: path }));
      const holding = await hold(wanted);
      if (holding.kind !== "held") return holding;
      try {
        const [failure] = holding.failures.values();
        return failure ?? (await use());
      } finally {
        await holding.release();
      }
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
