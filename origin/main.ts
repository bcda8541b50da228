// Puts the origin together: configuration in, a listening server out. The only place that knows
// which part depends on which.

import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { createAdaptorServer, type ServerType } from "@hono/node-server";
import { systemOf } from "../registry/recipe.ts";
import { createApp } from "./app.ts";
import { createEdgeClient } from "./backfill/edge-client.ts";
import { type Outbox, openOutbox } from "./backfill/outbox.ts";
import { createPusher } from "./backfill/push.ts";
import type { Config } from "./config.ts";
import { rememberFailures } from "./failures/failure-memory.ts";
import { openAskedNames } from "./images/asked-names.ts";
import { createHeldPaths } from "./images/held-paths.ts";
import { createImages } from "./images/images.ts";
import { rememberLookups } from "./images/lookups.ts";
import { createLostLayers } from "./images/lost-layers.ts";
import { createPackedLayers } from "./images/packed-layers.ts";
import { createRecordMaker } from "./images/record-maker.ts";
import { createRecords } from "./images/records.ts";
import { createTaggedImages } from "./images/tagged-images.ts";
import type { RecordFailure } from "./images/wanted-parts.ts";
import { createPacker } from "./layers/packer.ts";
import type { Log } from "./log.ts";
import { buildPolicy, describeBuilds } from "./nix/build-policy.ts";
import { bringNix } from "./nix/fitting-nix.ts";
import { clearRoots } from "./nix/gc-roots.ts";
import { findNix } from "./nix/nix-tool.ts";
import { renewableNix } from "./nix/renewable-nix.ts";
import { logRuns, type OnSpawn } from "./nix/run-log.ts";
import { ofFetched } from "./popularity/fetched-set.ts";
import { obtainPopularity, offerPopularity } from "./popularity/obtain.ts";
import { countSmallSet } from "./popularity/small-set.ts";
import { askReadiness, NotReady, type Readiness } from "./readiness.ts";
import { createRefresh } from "./refresh/refresh.ts";
import { openTracked } from "./refresh/tracked.ts";
import { configured, configurePins } from "./sources/configured.ts";
import { rememberedPins } from "./sources/pin-memory.ts";
import { rememberPins } from "./sources/pins.ts";
import type { Environment } from "./sources/resolve.ts";
import { sourceId } from "./sources/source.ts";
import { openTrees } from "./sources/trees.ts";
import { openFilesystemStore } from "./storage/filesystem.ts";
import { createStageLog } from "./waiting/stage-log.ts";
import { openWebSite } from "./web/site.ts";

export interface Origin {
  readonly url: string;
  /** Why nothing new can be made for now; null where something can. */
  readonly shortcoming: string | null;
  /** Resolves when the edge has been given everything that was answered; at once without an edge. */
  backfilled(): Promise<void>;
  /** Resolves when the images of tags that moved are made. */
  refreshed(): Promise<void>;
  /** Stops listening, gives up builds, lets answers under way finish for a while. */
  close(): Promise<void>;
}

export interface OriginOptions {
  readonly config: Config;
  /** What Nix and git run in. */
  readonly env: Environment;
  readonly log: Log;
  readonly onSpawn?: OnSpawn;
  /** The wall clock, unless a test has its own. */
  readonly now?: () => number;
}

const DAY_MS = 86_400_000;
/** One of nixpkgs takes some 300 MB in the store. */
const MAX_TREES = 50;
const DRAIN_DEADLINE_MS = 5000;
/** A build may take long before its first byte; a request line may not. */
const HEADERS_DEADLINE_MS = 30_000;

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

  const found = await findNix({ env, onSpawn });
  if (found === undefined) throw new NotReady("no Nix on PATH: nix-store and nix-instantiate");
  const fit = { env, statePath: config.statePath, onSpawn, signal };
  const renewable = renewableNix(found, {
    bring: (old, needed) => bringNix(old, needed, fit),
    open: (newer) => findNix({ env: newer, onSpawn }),
    ...{ log, now },
  });
  const { nix } = renewable;
  const rootsDir = join(config.statePath, "gcroots");
  await clearRoots(rootsDir);
  const store = await openFilesystemStore(config.storagePath);
  const { source, pinFreshMs, nixpkgsConfig, secretKeys } = config;
  const trees = await openTrees({
    ...{ nix, env, folder: join(config.statePath, "sources"), maxQueue: config.maxQueue },
    ...{ deadlineMs: config.fetchDeadlineMs, keepMs: Math.max(config.trackMs, DAY_MS) },
    maxTrees: MAX_TREES,
    ...{ pinsOfTags: () => rememberedPins(store), log, now, signal },
  });
  await trees.prune();
  const notes = { store, sourceId: sourceId(source), keepMs: config.trackMs, now, log };
  const tracked = await openTracked(notes);
  const refresh = createRefresh({ tracked, log, now, signal });
  const tags = rememberPins({
    ...{ source, nix, store, env, freshMs: pinFreshMs, log, now, signal },
    onMoved: (tag, from, to) =>
      refresh.moved(tag, configured(from, nixpkgsConfig), configured(to, nixpkgsConfig)),
  });
  const pins = configurePins(tags, nixpkgsConfig);
  const memory = { forMs: config.failureMemoryMs, now };
  const asked = openAskedNames({ store, expressionsId: nix.expressionsId, log });
  const lookups = rememberLookups({
    ...{ ...config, nix, trees, store, asked, signal, bringNix: renewable.bring },
    failures: rememberFailures(memory),
  });
  const system = systemOf(config.platforms[0]);
  const [shortcoming, popularity] = await Promise.all([
    askReadiness({
      ...{ source, pins, lookups, trees, nix, system, log, signal },
      missedNix: renewable.missed,
      env,
    }).then(unlessRefused),
    obtainPopularity({
      ...{ url: config.popularityUrl, source, refreshMs: config.popularityRefreshMs },
      pins: {
        resolve: pins.resolve,
        carriedPopularity: (tag) => ofFetched(trees, tag, signal, pins.carriedPopularity),
      },
      ...{ store, log, now, signal },
      countSet: (tag) =>
        ofFetched(trees, tag, signal, ({ source }) =>
          countSmallSet({ env, onSpawn }, source, signal),
        ),
    }),
  ]).catch((error) => {
    stop.abort(error);
    throw error;
  });
  await offerPopularity(popularity, store);
  const { storeDirectory } = nix;
  const packer = createPacker({
    storeDirectory,
    ...(config.packWorkers !== null && { workers: config.packWorkers }),
  });
  const packerReady = packer.start();
  const layers = createPackedLayers({ packer, store, log, signal });
  const maker = createRecordMaker({ layers, popularity, storeDirectory });
  const policy = buildPolicy(config, nix.settings);
  log.info(describeBuilds(policy, nix.settings), "how packages are made");
  const held = createHeldPaths({ ...config, nix, rootsDir, policy, log, signal });
  const failures = rememberFailures<RecordFailure>(memory);
  const parts = { nix, store, maker, held, failures };
  const records = createRecords({ ...parts, maxClosureBytes: config.maxClosureBytes, signal });
  const images = createImages({ lookups, records, store });

  let outbox: Outbox | null = null;
  if (config.edgeUrl !== null) {
    const edge = createEdgeClient({ url: config.edgeUrl, secretKeys, now, signal });
    outbox = await openOutbox({
      store,
      push: createPusher({ store, edge, packings: maker.packings, log }),
      log,
    });
  }
  refresh.start({ lookups, images, give: async (image) => outbox?.add(image) });
  const { access, holdMs, platforms } = config;
  const app = createApp({
    platforms,
    images: createTaggedImages({ pins, images, refresh, tracked }),
    lost: createLostLayers({ nix, maker, layers, held, signal }),
    web: config.webPath === null ? null : await openWebSite(config.webPath, log),
    ...{ layers, stages: createStageLog({ log, now }) },
    ...{ store, outbox, access, holdMs, secretKeys, log, now },
  });
  const server = createAdaptorServer({ fetch: app.fetch });
  await packerReady;
  const url = await listen(server, config);

  return {
    url,
    shortcoming,
    backfilled: () => outbox?.drained() ?? Promise.resolve(),
    refreshed: () => refresh.settled(),
    async close() {
      stop.abort(new Error("the origin is going down"));
      await Promise.all([closeServer(server), outbox?.close(), packer.close(), pins.settled()]);
      await Promise.all([refresh.settled(), trees.settled()]);
      await Promise.all([tracked.close(), layers.close()]);
    },
  };
}

function unlessRefused(readiness: Readiness): string | null {
  if (readiness.kind === "refused") throw new NotReady(readiness.why);
  return readiness.kind === "ready-but" ? readiness.why : null;
}

async function listen(server: ServerType, { host, port }: Config): Promise<string> {
  if ("headersTimeout" in server) server.headersTimeout = HEADERS_DEADLINE_MS;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  server.listen(port, host, resolve);
  await promise;
  const address = server.address() as AddressInfo;
  return `http://${address.family === "IPv6" ? `[${address.address}]` : address.address}:${address.port}`;
}

async function closeServer(server: ServerType): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  server.close(() => resolve());
  if ("closeIdleConnections" in server) server.closeIdleConnections();
  const timer = setTimeout(() => {
    if ("closeAllConnections" in server) server.closeAllConnections();
  }, DRAIN_DEADLINE_MS);
  await promise;
  clearTimeout(timer);
}
