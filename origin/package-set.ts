// The package set as an origin has it: the Nix that reads it, the revisions its tags mean, their files
// in the store, what names mean in them, and whether all that works.

import { join } from "node:path";
import { systemOf } from "../registry/naming/recipe.ts";
import type { Config } from "./configuration/config.ts";
import { openAskedNames } from "./images/asked-names.ts";
import { evaluationSlots, type Lookups, rememberLookups } from "./images/lookups.ts";
import type { Popularity } from "./layers/popularity.ts";
import type { Log } from "./log/log.ts";
import { rememberFailures } from "./memory/failure-memory.ts";
import { bringNix } from "./nix/fitting-nix.ts";
import { findNix, type NixTool } from "./nix/nix-tool.ts";
import { type RenewableNix, renewableNix } from "./nix/renewable-nix.ts";
import type { OnSpawn } from "./nix/run-log.ts";
import { openPackageIndexes, type PackageIndexes } from "./package-index/read-index.ts";
import { askedBy } from "./package-index/stored-root.ts";
import { ofFetched } from "./popularity/fetched-set.ts";
import { obtainPopularity } from "./popularity/obtain.ts";
import { countSmallSet } from "./popularity/small-set.ts";
import { askReadiness, NotReady, type Readiness } from "./readiness.ts";
import { configured, configurePins } from "./sources/configured.ts";
import { rememberedPins } from "./sources/pin-memory.ts";
import { type Pins, type PinsOptions, rememberPins } from "./sources/pins.ts";
import type { Environment } from "./sources/resolve.ts";
import { openTrees, type Trees } from "./sources/trees.ts";
import type { BlobStore } from "./storage/blob-store.ts";
import type { MemoryWatch } from "./waiting/memory-watch.ts";
import type { QueuedSlots } from "./waiting/slots.ts";

export interface PackageSet {
  readonly nix: NixTool;
  readonly pins: Pins;
  readonly trees: Trees;
  /** In which Nix evaluates. */
  readonly slots: QueuedSlots;
  readonly indexes: PackageIndexes;
  readonly lookups: Lookups;
  readonly popularity: Popularity;
  /** Why nothing of it can be had for now; null where something can. */
  readonly shortcoming: string | null;
  /** Resolves when nothing is being fetched or asked for any more. */
  settled(): Promise<void>;
}

export interface PackageSetOptions {
  readonly config: Config;
  /** What Nix and git run in. */
  readonly env: Environment;
  readonly store: BlobStore;
  readonly onMoved: NonNullable<PinsOptions["onMoved"]>;
  readonly onSpawn: OnSpawn;
  readonly memory: MemoryWatch;
  readonly log: Log;
  readonly now: () => number;
  readonly signal: AbortSignal;
}

const DAY_MS = 86_400_000;

/** Throws a NotReady, a StoreProblem or a PopularityProblem where a person must do something first. */
export async function openPackageSet(options: PackageSetOptions): Promise<PackageSet> {
  const { config, env, store, onSpawn, memory, log, now, signal } = options;
  const { source, nixpkgsConfig } = config;
  const renewable = await openNix(options);
  const { nix } = renewable;
  const trees = await openTrees({
    ...{ nix, env, folder: join(config.statePath, "sources"), maxQueue: config.maxQueue },
    ...{ deadlineMs: config.fetchDeadlineMs, keepMs: Math.max(config.trackMs, DAY_MS) },
    ...{
      maxTrees: config.keptRevisions,
      pinsOfTags: () => rememberedPins(store),
      log,
      now,
      signal,
    },
  });
  await trees.prune();
  const tags = rememberPins({
    ...{ source, nix, store, env, freshMs: config.pinFreshMs, log, now, signal },
    onMoved: (tag, from, to) =>
      options.onMoved(tag, configured(from, nixpkgsConfig), configured(to, nixpkgsConfig)),
  });
  const pins = configurePins(tags, nixpkgsConfig);
  const asked = openAskedNames({ store, expressionsId: nix.expressionsId, log });
  const by = askedBy(nix.expressionsId, config.indexSets);
  const indexes = openPackageIndexes({ store, askedBy: by, now });
  const slots = evaluationSlots({ ...config, memory });
  const lookups = rememberLookups({
    ...{ nix, trees, store, slots, asked, indexes, log, signal, bringNix: renewable.bring },
    failures: rememberFailures({ forMs: config.failureMemoryMs, now }),
  });
  const [readiness, popularity] = await Promise.all([
    askReadiness({
      ...{ source, pins, lookups, env, log, signal },
      ...{ system: systemOf(config.platforms[0]), missedNix: renewable.missed },
    }).then(unlessRefused),
    obtainPopularity({
      ...{ url: config.popularityUrl, source, refreshMs: config.popularityRefreshMs },
      ...{ store, log, now, signal },
      pins: {
        resolve: pins.resolve,
        carriedPopularity: (tag) => ofFetched(trees, tag, signal, pins.carriedPopularity),
      },
      countSet: (tag) =>
        ofFetched(trees, tag, signal, (fetched) =>
          countSmallSet({ env, onSpawn }, fetched.source, signal),
        ),
    }),
  ]);
  return {
    ...{ nix, pins, trees, slots, indexes, lookups, popularity },
    shortcoming: readiness.kind === "ready-but" ? readiness.why : null,
    async settled() {
      await Promise.all([pins.settled(), trees.settled()]);
    },
  };
}

async function openNix(options: PackageSetOptions): Promise<RenewableNix> {
  const { config, env, onSpawn, log, now, signal } = options;
  const { evaluationDeadlineMs, evaluationMemoryBytes } = config;
  const tool = { onSpawn, evaluationDeadlineMs, evaluationMemoryBytes };
  const found = await findNix({ env, ...tool });
  if (found === undefined) throw new NotReady("no Nix on PATH: nix-store and nix-instantiate");
  const fit = { env, statePath: config.statePath, onSpawn, signal };
  return renewableNix(found, {
    bring: (old, needed) => bringNix(old, needed, fit),
    open: (newer) => findNix({ env: newer, ...tool }),
    ...{ log, now },
  });
}

/** At once, whatever else of the start is still under way. */
function unlessRefused(readiness: Readiness): Exclude<Readiness, { kind: "refused" }> {
  if (readiness.kind === "refused") throw new NotReady(readiness.why);
  return readiness;
}
