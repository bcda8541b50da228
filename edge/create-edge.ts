// What one request works with, made of the environment and of what its isolate remembers. What a pull of what
// is remembered does not need is not made for it.

import type { AssetFiles } from "../page/html/assets.ts";
import type { TagPins } from "../registry/between/tag-pins.ts";
import { clientOf } from "../registry/http/clients.ts";
import { holdOf } from "../registry/http/hold.ts";
import { chooseVariant, variantWords } from "../registry/http/negotiation.ts";
import type { PageRoute } from "../registry/http/page-route.ts";
import type { Route } from "../registry/http/route.ts";
import type { Found } from "../registry/image/lookup.ts";
import type { PackageRecord } from "../registry/image/record.ts";
import type { Variant } from "../registry/image/variant.ts";
import type { IndexRoot } from "../registry/package-index/root.ts";
import type { Shard } from "../registry/package-index/shard.ts";
import { type AccessMemory, createAccessMemory } from "./access/guard.ts";
import { type BlobFlights, createBlobFlights } from "./isolate/blob-flights.ts";
import { type BriefMemory, createBriefMemory } from "./isolate/brief-memory.ts";
import {
  createDocumentMemory,
  type Document,
  type DocumentMemory,
} from "./isolate/document-memory.ts";
import { createFillClaims, type FillClaims } from "./isolate/fill-claims.ts";
import { createHotAnswers, type HotAnswers } from "./isolate/hot-answers.ts";
import type { Manifest } from "./isolate/manifest.ts";
import { createOriginHealth, type OriginHealth } from "./isolate/origin-health.ts";
import type { Pointer } from "./isolate/pointer.ts";
import { createPullsToTell, type PullsToTell } from "./isolate/pulls-to-tell.ts";
import { createReadings, type Readings } from "./isolate/readings.ts";
import { createRefreshes, type Refreshes } from "./isolate/refresh-claims.ts";
import { createRefusals, type Refusals } from "./isolate/refusals.ts";
import { createSeenOnce, type SeenOnce } from "./isolate/seen-once.ts";
import { createVainTries, type VainTries } from "./isolate/vain-tries.ts";
import { createOrigin, type OriginDeadlines } from "./origin-client/origin.ts";
import { heldBy } from "./origin-client/origin-wait.ts";
import { clientNetworkOf } from "./request/client-network.ts";
import type { Edge, LogLine } from "./request/edge.ts";
import { type Env, readSettings, type Settings } from "./request/env.ts";
import { createKeepLimit } from "./request/keep-limit.ts";
import { createMissLimit } from "./request/miss-limit.ts";
import { createTrace } from "./request/trace.ts";

/** What a path asks for: what clients pull, a page, what the origin gives, a token of whom a policy knows. */
export type AskedRoute =
  | Route
  | { readonly kind: "page"; readonly page: PageRoute }
  | "ingest"
  | "token";

/** What outlives a request: plain data and promises of it, which requests may share, and no stream. */
export interface Isolate {
  readonly memory: DocumentMemory<Manifest>;
  /** Of that memory. */
  readonly hot: HotAnswers;
  readonly configs: DocumentMemory<Document>;
  readonly pointers: BriefMemory<Pointer>;
  readonly pins: BriefMemory<TagPins>;
  readonly lookups: BriefMemory<Found>;
  readonly records: BriefMemory<PackageRecord>;
  readonly roots: BriefMemory<IndexRoot>;
  readonly shards: BriefMemory<Shard>;
  readonly names: BriefMemory<string>;
  /** By their whole addresses. */
  readonly routes: Readings<AskedRoute>;
  readonly variants: Readings<Variant>;
  /** The environment is one for all requests of a deployment. */
  readonly settings: WeakMap<Env, Settings>;
  readonly seen: SeenOnce;
  readonly vainTries: VainTries;
  readonly refreshes: Refreshes;
  readonly flights: BlobFlights;
  readonly fills: FillClaims;
  readonly refusals: Refusals;
  readonly health: OriginHealth;
  readonly access: AccessMemory;
  readonly pulls: PullsToTell;
  /** What was logged of the environment, which is the same for every request. */
  readonly told: Set<string>;
  /** Of the deployment's one build. */
  readonly assetFiles: { files?: AssetFiles };
}

export interface AppOptions {
  readonly isolate: Isolate;
  readonly now: () => number;
  readonly log: (line: LogLine) => void;
  /** The location's own; tests have one that keeps nothing. */
  readonly openCache?: () => Cache;
  readonly originDeadlinesMs?: OriginDeadlines;
  /** By the table of clients; tests have other seconds. */
  readonly holdOf?: typeof holdOf;
}

const MIB = 1024 * 1024;
/** Of lookups and records, a hundred with each: half of the 50 subrequests that Cloudflare's free plan allows. */
const MAX_DOCUMENT_READS = 20;
/** What the most packages that a name may have take, for two platforms at one pin. */
const MAX_SHARD_READS = 128;

export function createIsolate(): Isolate {
  const memory = createDocumentMemory<Manifest>();
  return {
    memory,
    hot: createHotAnswers(memory),
    configs: createDocumentMemory(),
    pointers: createBriefMemory(8 * MIB),
    pins: createBriefMemory(MIB),
    lookups: createBriefMemory(2 * MIB),
    records: createBriefMemory(4 * MIB),
    roots: createBriefMemory(MIB),
    shards: createBriefMemory(4 * MIB),
    names: createBriefMemory(8 * MIB),
    routes: createReadings(),
    variants: createReadings(),
    settings: new WeakMap(),
    seen: createSeenOnce(),
    vainTries: createVainTries(),
    refreshes: createRefreshes(),
    flights: createBlobFlights(),
    fills: createFillClaims(),
    refusals: createRefusals(),
    health: createOriginHealth(),
    access: createAccessMemory(),
    pulls: createPullsToTell(),
    told: new Set(),
    assetFiles: {},
  };
}

export interface Surroundings {
  /** Begins once there is an answer. */
  readonly behind: (work: () => Promise<unknown>) => void;
  /** The entrypoint that Workers Cache stands before, where there is one. */
  readonly cachedBlobs: () => Pick<Fetcher, "fetch"> | undefined;
}

export function createEdge(
  {
    isolate,
    now,
    log,
    openCache = () => caches.default,
    originDeadlinesMs,
    holdOf: hold = holdOf,
  }: AppOptions,
  request: Request,
  env: Env,
  { behind, cachedBlobs }: Surroundings,
): Edge {
  const settings = settingsOf(isolate, env, log);
  const { originUrls, secretKeys } = settings;
  const onFailure = (cause: unknown) => log({ level: "warn", event: "limit failed", cause });
  const later: Edge["later"] = (event, work) =>
    behind(() => work().catch((cause) => log({ level: "warn", event: `${event} failed`, cause })));
  const network = lazily(() => clientNetworkOf(request.headers));
  const origin = lazily(() =>
    createOrigin({
      urls: originUrls,
      health: isolate.health,
      secretKeys,
      now,
      later,
      onPassedOver: (url, forMs, cause) =>
        log({ level: "warn", event: "origin passed over", origin: url, forMs, cause }),
      onBack: (url) => log({ level: "info", event: "origin is back", origin: url }),
      fetch: (asked) => fetch(asked),
      follows: settings.followsRedirects,
      onLost: (cause) =>
        log({ level: "warn", event: "no blob where the origin sent the edge", cause }),
      held: heldBy(hold(clientOf(request.headers)), settings.originWaitMs, request.signal),
      network: network(),
      ...(originDeadlinesMs && { deadlinesMs: originDeadlinesMs }),
    }),
  );
  const misses = lazily(() => {
    const { refusals } = isolate;
    return createMissLimit({
      ...{ limiter: env.MISS_LIMIT, network: network(), refusals, now, onFailure },
    });
  });
  const keeps = lazily(() =>
    createKeepLimit({ limiter: env.KEEP_LIMIT, network: network(), onFailure }),
  );
  const host = lazily(() => new URL(request.url).hostname);
  return {
    kv: env.KV,
    r2: env.R2,
    assets: env.ASSETS,
    assetFiles: isolate.assetFiles,
    get cache() {
      return openCache();
    },
    get cachedBlobs() {
      return settings.usesWorkersCache ? cachedBlobs() : undefined;
    },
    get host() {
      return host();
    },
    get origin() {
      return origin();
    },
    get misses() {
      return misses();
    },
    get keeps() {
      return keeps();
    },
    memory: isolate.memory,
    configs: isolate.configs,
    pointers: isolate.pointers,
    pins: isolate.pins,
    lookups: isolate.lookups,
    records: isolate.records,
    roots: isolate.roots,
    shards: isolate.shards,
    names: isolate.names,
    seen: isolate.seen,
    vainTries: isolate.vainTries,
    refreshes: isolate.refreshes,
    flights: isolate.flights,
    fills: isolate.fills,
    pulls: originUrls.length === 0 || secretKeys.length === 0 ? null : isolate.pulls,
    secretKeys,
    pinFreshMs: settings.pinFreshMs,
    pointerMemoryMs: settings.pointerMemoryMs,
    platforms: settings.platforms,
    blobsUrl: settings.blobsUrl,
    logsPulls: settings.logsPulls,
    now,
    log,
    variant: lazily(() => variantOf(isolate, request, settings)),
    reads: {
      left: MAX_DOCUMENT_READS,
      shardsLeft: MAX_SHARD_READS,
      absent: new Set(),
      pins: new Map(),
    },
    trace: createTrace(() => performance.now()),
    later,
  };
}

function settingsOf(
  { settings: known, told }: Isolate,
  env: Env,
  log: AppOptions["log"],
): Settings {
  const settings = known.get(env) ?? readSettings(env);
  known.set(env, settings);
  const { problem } = settings;
  if (problem !== undefined && !told.has(problem)) {
    told.add(problem);
    log({ level: "error", event: "misconfigured", problem });
  }
  return settings;
}

/** What decides it is few words, which a few clients always say alike. */
function variantOf({ variants }: Isolate, { headers }: Request, { zstd }: Settings): Variant {
  return variants.of(`${zstd}\n${variantWords(headers)}`, () => chooseVariant(headers, zstd));
}

/** Made when it is first asked for. */
function lazily<Made>(make: () => Made): () => Made {
  let made: { readonly value: Made } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}
