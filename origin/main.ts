// Puts the origin together: configuration in, a listening server out. The only place that knows
// which part depends on which.

import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { createHoldings } from "../registry/access/holdings.ts";
import type { Digest } from "../registry/naming/digest.ts";
import { systemOf } from "../registry/naming/recipe.ts";
import { LATEST, type Tag } from "../registry/naming/reference.ts";
import { createGuard } from "./access/guard.ts";
import { createApp } from "./app.ts";
import { createEdgeClient } from "./backfill/edge-client.ts";
import type { AnsweredImage } from "./backfill/entry.ts";
import { type Outbox, openOutbox } from "./backfill/outbox.ts";
import { createPusher } from "./backfill/push.ts";
import type { Config } from "./configuration/config.ts";
import { collectOnTimer } from "./gc/on-timer.ts";
import { createHeldPaths } from "./images/held-paths.ts";
import { createImages } from "./images/images.ts";
import { createKeptImages } from "./images/kept-images.ts";
import { createKnownImages } from "./images/known-images.ts";
import { createLostLayers } from "./images/lost-layers.ts";
import { createPackedLayers } from "./images/packed-layers.ts";
import { createRecordMaker } from "./images/record-maker.ts";
import { createRecords } from "./images/records.ts";
import type { RecordFailure } from "./images/wanted-parts.ts";
import { createPacker } from "./layers/packer.ts";
import { startViewThread } from "./layers/view-thread.ts";
import { watchEventLoop } from "./log/event-loop.ts";
import type { Log } from "./log/log.ts";
import { rememberFailures } from "./memory/failure-memory.ts";
import { rememberImages } from "./memory/recent-documents.ts";
import { buildPolicy, describeBuilds } from "./nix/build-policy.ts";
import { clearRoots } from "./nix/gc-roots.ts";
import { availableMemoryBytes, machineMemoryBytes } from "./nix/machine-memory.ts";
import { logRuns, type OnSpawn } from "./nix/run-log.ts";
import {
  type BackgroundIndexes,
  createBackgroundIndexes,
  INDEXING_MACHINE_BYTES,
  type IndexState,
} from "./package-index/background.ts";
import { openPackageSet } from "./package-set.ts";
import { openAssets } from "./page/assets.ts";
import { createStorageUse } from "./page/storage-use.ts";
import { offerPopularity } from "./popularity/obtain.ts";
import { createProgressFeed } from "./progress/feed.ts";
import { openListedImages } from "./pulled/listed-images.ts";
import { createPullNotes } from "./pulled/pull-notes.ts";
import { createComposedAgain } from "./pulling/composed-again.ts";
import { createFailedPulls } from "./pulling/failed-pulls.ts";
import { createKeepPulled } from "./pulling/keep-pulled.ts";
import { createRecentBuilds } from "./pulling/recent-builds.ts";
import { createStageLog } from "./pulling/stage-log.ts";
import { createTaggedImages } from "./pulling/tagged-images.ts";
import { createRefresh } from "./refresh/refresh.ts";
import { openTracked } from "./refresh/tracked.ts";
import { serveApp } from "./server.ts";
import { openAnsweredPins } from "./sources/answered-pins.ts";
import type { Pins } from "./sources/pins.ts";
import type { Environment } from "./sources/resolve.ts";
import { sourceId } from "./sources/source.ts";
import { openStorage } from "./storage/open-storage.ts";
import { ALWAYS } from "./waiting/demand.ts";
import { watchMemory } from "./waiting/memory-watch.ts";
import { openWebSite } from "./web/site.ts";

export interface Origin {
  readonly url: string;
  /** Why nothing new can be made for now; null where something can. */
  readonly shortcoming: string | null;
  /** Resolves when the images of tags that moved are made. */
  refreshed(): Promise<void>;
  /** Of the package sets that tags have; none where none are made. */
  indexes(): readonly IndexState[];
  /** Stops listening, gives up builds, lets answers under way finish for a while. */
  close(): Promise<void>;
}

export interface OriginOptions {
  readonly config: Config;
  /** What Nix and git run in. */
  readonly env: Environment;
  readonly log: Log;
  readonly onSpawn?: OnSpawn;
  /** The folder of the build of the pages, where it is not beside their sources. */
  readonly pages?: string;
  /** The wall clock, unless a test has its own. */
  readonly now?: () => number;
}

export async function startOrigin(options: OriginOptions): Promise<Origin> {
  const { config, env, log } = options;
  const stop = new AbortController();
  const { signal } = stop;
  const now = options.now ?? Date.now;
  const logRun = logRuns(log, now);
  const onSpawn: OnSpawn = (...run) => {
    logRun(...run);
    options.onSpawn?.(...run);
  };

  const { store, links } = await openStorage(config, { now, log });
  const { source, secretKeys } = config;
  const notes = { store, sourceId: sourceId(source), keepMs: config.trackMs, now, log };
  const tracked = await openTracked(notes);
  const refresh = createRefresh({ tracked, log, now, signal });
  const memory = watchMemory({
    ...{ log, signal, machineBytes: machineMemoryBytes(), availableBytes: availableMemoryBytes },
  });
  let indexing: BackgroundIndexes | null = null;
  const onMoved: typeof refresh.moved = (tag, from, to) => {
    refresh.moved(tag, from, to);
    if (isIndexed(tag)) indexing?.want(tag, to);
  };
  const isIndexed = (tag: Tag) => tag === LATEST || tracked.tags().includes(tag);
  const set = await openPackageSet({
    ...{ config, env, store, onMoved, onSpawn, memory, log, now, signal },
  }).catch((error) => {
    // What the start has begun besides is of no use any more.
    stop.abort(error);
    throw error;
  });
  const { nix, pins, trees, slots, indexes, lookups, popularity, shortcoming } = set;
  const offer = () => offerPopularity(popularity, store);
  await offer();
  const rootsDir = join(config.statePath, "gcroots");
  await clearRoots(rootsDir);
  const { storeDirectory } = nix;
  const packer = createPacker({
    storeDirectory,
    ...(config.packWorkers !== null && { workers: config.packWorkers }),
  });
  const packerReady = packer.start();
  const layers = createPackedLayers({ packer, store, log, signal });
  const views = startViewThread(storeDirectory);
  const maker = createRecordMaker({ layers, popularity, draw: views.draw });
  const policy = buildPolicy(config, nix.settings);
  log.info(describeBuilds(policy, nix.settings), "how packages are made");
  const held = createHeldPaths({ ...config, nix, rootsDir, policy, memory, log, signal });
  const failures = rememberFailures<RecordFailure>({ forMs: config.failureMemoryMs, now });
  const parts = { nix, store, maker, held, failures };
  const { maxClosureBytes } = config;
  const records = createRecords({ ...parts, maxClosureBytes, offer, now, signal });
  const recent = rememberImages();
  const images = createImages({ lookups, records, store, recent, log });
  const isListed = await openListedImages({ store, now, log });
  const kept = createKeptImages({ store, isListed, now, log });
  const pulls = createPullNotes({ store, now, log });
  const answered = await openAnsweredPins({ store, sourceId: sourceId(source), log });

  const lost = createLostLayers({ nix, maker, layers, held, signal });
  const { edgeUrl } = config;
  const edge =
    edgeUrl === null ? null : createEdgeClient({ url: edgeUrl, secretKeys, now, signal });
  let outbox: Outbox | null = null;
  if (edge !== null) {
    const remake = (digest: Digest) => lost.remake(digest, ALWAYS);
    const ownPins = () => indexing && new Set(indexing.states().map(({ pin }) => pin));
    outbox = await openOutbox({
      store,
      push: createPusher({ store, edge, packings: maker.packings, remake, ownPins, now, log }),
      log,
    });
  }
  const give = async (image: AnsweredImage) => outbox?.add(image);
  refresh.start({ lookups, images, kept, answered, pulls, give });
  const known = createKnownImages({ lookups, records });
  const again = createComposedAgain({ known, answered });
  const failed = createFailedPulls(now);
  const { access, platforms, zstd, redirectStatus } = config;
  const feed = createProgressFeed({ now });
  const recentBuilds = createRecentBuilds(now);
  const storageUse = createStorageUse({ store, now, log, signal });
  const app = createApp({
    ...{ platforms, zstd, pins, lookups },
    images: createTaggedImages({ pins, images, refresh, now }),
    keep: createKeepPulled({ kept, answered, recent, tracked, pulls, hasEdge: outbox !== null }),
    again,
    lost,
    assets: openAssets(options.pages),
    indexing: { pins, store, platforms },
    web: config.webPath === null ? null : await openWebSite(config.webPath, log),
    ...{ layers, stages: createStageLog({ log, now }), recentBuilds, feed },
    ...{ store, links, redirectStatus, outbox, recent, kept, pulls },
    ...{ access, holds: config, secretKeys, log, now },
    ...{ failed, answering: { pins, known, failed } },
    guard: config.policy && createGuard(config.policy, secretKeys, { now, log }),
    operatorView: config.operatorView,
    toldToOperators: {
      ...{ builds: recentBuilds, feed, outbox, nix, storage: storageUse, now },
      ...{ packings: maker.packings, trackedTags: tracked.tags },
      queues: { evaluations: slots.queue, builds: held.queue },
      indexes: () => indexing?.states() ?? [],
    },
    finding: {
      platforms,
      pins,
      lookups,
      again,
      recent,
      holdings: createHoldings(),
      holds: config,
      now,
    },
  });
  await packerReady;
  const collector = collectOnTimer({ ...config, store, edge, now, log, signal });
  const server = await serveApp(app, config);
  watchEventLoop({ log, signal });
  if (config.isIndexed ?? machineMemoryBytes() >= INDEXING_MACHINE_BYTES) {
    const { indexSets: sets } = config;
    indexing = createBackgroundIndexes({
      ...{ nix, trees, store, slots, sets, log, now, signal },
      systems: [...new Set(platforms.map(systemOf))],
      async quiet() {
        await refresh.settled();
        await refresh.quiet();
      },
      removesOld: outbox === null,
      onMade({ tag, pinned: { pin, resolvedAtMs }, system, madeAtMs }) {
        indexes.replaced(pin, system);
        void outbox?.addIndex({ packageIndex: { system, madeAtMs }, tag, pin, resolvedAtMs });
      },
    });
    void wantTagged(indexing, pins, [LATEST, ...tracked.tags()], { log, signal });
  }

  return {
    url: server.url,
    shortcoming,
    refreshed: () => refresh.settled(),
    indexes: () => indexing?.states() ?? [],
    async close() {
      stop.abort(new Error("the origin is going down"));
      feed.close();
      const threads = [packer.close(), views.close()];
      await Promise.all([server.close(), outbox?.close(), ...threads, set.settled()]);
      await Promise.all([refresh.settled(), collector.settled(), indexing?.settled()]);
      await storageUse.settled();
      await Promise.all([tracked.close(), pulls.close(), layers.close()]);
    },
  };
}

const UNRESOLVED_AGAIN_MS = 300_000;

/** From a start on; a tag that moves later says so itself. */
async function wantTagged(
  indexing: BackgroundIndexes,
  pins: Pins,
  tags: readonly Tag[],
  { log, signal }: { readonly log: Log; readonly signal: AbortSignal },
): Promise<void> {
  let left = [...new Set(tags)];
  try {
    for (; left.length > 0; await pause(UNRESOLVED_AGAIN_MS, null, { signal, ref: false })) {
      const resolved = await Promise.all(left.map((tag) => pins.resolve(tag)));
      for (const [place, tag] of left.entries()) {
        const pinned = resolved[place];
        // What a client named by its commit is no set that people look for names in.
        if (pinned?.kind !== "pinned" || (pinned.immutable && tag !== LATEST)) continue;
        indexing.want(tag, pinned);
      }
      left = left.filter((_, place) => resolved[place]?.kind === "unreachable");
    }
  } catch (error) {
    if (!signal.aborted) log.error({ err: error }, "not all tags are indexed");
  }
}
