// Counts a package set at a pin where that is cheap: a set of some hundreds of packages within
// seconds, so that an origin's first start can wait for it. Says the same on every machine.

import type { FoundPackage } from "../../registry/image/lookup.ts";
import { SYSTEMS, type System } from "../../registry/naming/recipe.ts";
import type { PopularityData } from "../layers/popularity.ts";
import { findNix, type NixTool, type NixToolOptions } from "../nix/nix-tool.ts";
import type { PinnedSource } from "../nix/pinned-source.ts";
import { listPackages, timedOut } from "./package-set.ts";
import { countDerivations } from "./set-counts.ts";

export type CountedSet =
  | { readonly kind: "counted"; readonly data: PopularityData }
  /** It would be another time too. */
  | { readonly kind: "too-large"; readonly reason: string }
  /** Another time it may be counted. */
  | { readonly kind: "failed"; readonly reason: string };

interface TimedOut {
  readonly kind: "timed-out";
}

export interface SmallSetLimits {
  readonly mostAttributes: number;
  readonly deadlineMs: number;
}

export const SMALL_SET: SmallSetLimits = { mostAttributes: 2000, deadlineMs: 20_000 };
/** Of one evaluation; two run at a time. */
const MAX_HEAP_BYTES = 1 << 30;

export async function countSmallSet(
  tool: NixToolOptions,
  source: PinnedSource,
  signal: AbortSignal,
  { mostAttributes, deadlineMs }: SmallSetLimits = SMALL_SET,
): Promise<CountedSet> {
  const nix = await findNix({ ...tool, evaluationMemoryBytes: MAX_HEAP_BYTES });
  if (nix === undefined) return { kind: "failed", reason: "no Nix on PATH" };
  const limits = AbortSignal.any([signal, AbortSignal.timeout(deadlineMs)]);
  let first: CountedSet | undefined;
  // Names are the same for each; the first that the set has packages for is counted.
  for (const system of SYSTEMS) {
    const counted = await countFor(nix, source, system, mostAttributes, limits);
    if (counted.kind === "timed-out") {
      return { kind: "too-large", reason: `it was not counted in ${deadlineMs / 1000} s` };
    }
    if (counted.kind !== "failed") return counted;
    first ??= counted;
  }
  return first ?? { kind: "failed", reason: "no system" };
}

async function countFor(
  nix: NixTool,
  source: PinnedSource,
  system: System,
  mostAttributes: number,
  signal: AbortSignal,
): Promise<CountedSet | TimedOut> {
  const list = await listPackages({ nix, source, system, mostAttributes, signal });
  switch (list.kind) {
    case "too-many":
      return { kind: "too-large", reason: `it has ${list.count} attributes` };
    case "timed-out":
      return list;
    case "failed":
      return { kind: "failed", reason: list.message };
    case "listed":
      return await countListed(nix, list.packages, signal);
    default:
      return list satisfies never;
  }
}

async function countListed(
  nix: NixTool,
  packages: readonly FoundPackage[],
  signal: AbortSignal,
): Promise<CountedSet | TimedOut> {
  try {
    const { counted, counts } = await countDerivations(nix, packages, signal);
    if (counted === 0) return { kind: "failed", reason: "it has no derivations" };
    return { kind: "counted", data: { kind: "derivations", counted, counts } };
  } catch (error) {
    if (timedOut(signal)) return { kind: "timed-out" };
    throw error;
  }
}
