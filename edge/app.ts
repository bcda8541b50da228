// One request: environment to dependencies, to the route's handler, to one error boundary.

import { type Context, Hono } from "hono";
import type { Identifying } from "../registry/access/credentials.ts";
import { type Gate, passGate } from "../registry/access/gate.ts";
import { answerToken, isTokenRequest } from "../registry/access/token-endpoint.ts";
import { clientOf } from "../registry/http/clients.ts";
import { errorResponse, RegistryError } from "../registry/http/error.ts";
import { holdOf } from "../registry/http/hold.ts";
import { chooseVariant } from "../registry/http/negotiation.ts";
import { isIngest, parseIngestRoute, parseRoute, type Route } from "../registry/http/route.ts";
import {
  type AccessMemory,
  createAccessMemory,
  type Guarding,
  identifyingFor,
} from "./access/guard.ts";
import { createMeanings } from "./access/meanings.ts";
import { handle } from "./handle.ts";
import { ingest } from "./ingest/ingest.ts";
import { type BlobFlights, createBlobFlights } from "./isolate/blob-flights.ts";
import {
  createDocumentMemory,
  type Document,
  type DocumentMemory,
} from "./isolate/document-memory.ts";
import { createFillClaims, type FillClaims } from "./isolate/fill-claims.ts";
import type { Manifest } from "./isolate/manifest.ts";
import { createOriginHealth, type OriginHealth } from "./isolate/origin-health.ts";
import { createPullsToTell, type PullsToTell } from "./isolate/pulls-to-tell.ts";
import { createRefreshes, type Refreshes } from "./isolate/refresh-claims.ts";
import { createRefusals, type Refusals } from "./isolate/refusals.ts";
import { createSeenOnce, type SeenOnce } from "./isolate/seen-once.ts";
import { createVainTries, type VainTries } from "./isolate/vain-tries.ts";
import { createOrigin, type OriginDeadlines } from "./origin-client/origin.ts";
import { heldBy } from "./origin-client/origin-wait.ts";
import { clientNetworkOf } from "./request/client-network.ts";
import type { Edge, LogLine } from "./request/edge.ts";
import { type Env, readSettings } from "./request/env.ts";
import { createKeepLimit } from "./request/keep-limit.ts";
import { createMissLimit } from "./request/miss-limit.ts";
import { createTrace } from "./request/trace.ts";

/** What outlives a request: plain data and promises of it, which requests may share, and no stream. */
export interface Isolate {
  readonly memory: DocumentMemory<Manifest>;
  readonly configs: DocumentMemory<Document>;
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
}

export interface AppOptions {
  readonly isolate: Isolate;
  readonly now: () => number;
  readonly log: (line: LogLine) => void;
  /** The location's own; tests have one that keeps nothing. */
  readonly cache?: Cache;
  readonly originDeadlinesMs?: OriginDeadlines;
  /** By the table of clients; tests have other seconds. */
  readonly holdOf?: typeof holdOf;
}

type AppContext = Context<{ Bindings: Env }>;

export function createIsolate(): Isolate {
  return {
    memory: createDocumentMemory(),
    configs: createDocumentMemory(),
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
  };
}

export function createApp(options: AppOptions): Hono<{ Bindings: Env }> {
  const app = new Hono<{ Bindings: Env }>();
  app.all("*", (context) => answer(options, context));
  return app;
}

async function answer(options: AppOptions, context: AppContext): Promise<Response> {
  const request = context.req.raw;
  const startedMs = options.now();
  const edge = createEdge(options, context);
  const { isolate } = options;
  const memory = isolate.access;
  const { NIXPORT_POLICY: policy, LOGIN_LIMIT: limiter } = context.env;
  const network = clientNetworkOf(request.headers);
  const guarding = { memory, policy, limiter, network, told: isolate.told };
  const response = await respond(edge, request, startedMs, guarding);
  edge.trace.writeTo(response.headers);
  return response;
}

async function respond(
  edge: Edge,
  request: Request,
  startedMs: number,
  guarding: Guarding,
): Promise<Response> {
  try {
    const url = new URL(request.url);
    // Parsed before anything is read: a wrong path or name costs no storage access.
    if (isIngest(url)) {
      return await ingest(edge, request, url, parseIngestRoute(request.method, url));
    }
    const identifying = identifyingFor(guarding, edge, url);
    if (identifying && isTokenRequest(url)) return await answerToken(identifying, request, url);
    const route = parseRoute(request.method, url);
    const answered = () => handle(edge, request, route);
    const response =
      identifying === null
        ? await answered()
        : await passGate(gateOf(edge, guarding, identifying), request, route, answered);
    if (edge.logsPulls) logPull(edge, { request, route, response, startedMs });
    return response;
  } catch (error) {
    return errorResponse(boundary(edge, request, error), request.method);
  }
}

function gateOf(edge: Edge, { memory }: Guarding, identifying: Identifying): Gate {
  return { identifying, meanings: createMeanings(edge, memory) };
}

interface Answered {
  readonly request: Request;
  readonly route: Route;
  readonly response: Response;
  readonly startedMs: number;
}

/** What was cached: of what it was asked for itself, the origin says more. */
function logPull(edge: Edge, { request, route, response, startedMs }: Answered): void {
  const tier = edge.trace.tier();
  if (tier === undefined || route.kind !== "manifest" || route.reference.kind !== "tag") return;
  const { repository: image, reference } = route;
  const variant = chooseVariant(request.headers, edge.zstd);
  const answer = response.headers.has("Warning") ? "stale" : "remembered";
  const facts = { image, tag: reference.tag, variant, status: response.status, answer, tier };
  edge.log({ level: "info", event: "answered", ...facts, ms: edge.now() - startedMs });
}

/** The only place where an unexpected error becomes an answer, which says nothing of its cause. */
function boundary(edge: Edge, request: Request, error: unknown): RegistryError {
  const where = { method: request.method, path: new URL(request.url).pathname.slice(0, 600) };
  if (!(error instanceof RegistryError)) {
    edge.log({ level: "error", event: "a request failed", ...where, cause: error });
    return new RegistryError("UNKNOWN", "internal error");
  }
  if (error.status >= 500) {
    const { code, message, cause } = error;
    edge.log({ level: "warn", event: "not answered", ...where, code, message, cause });
  }
  return error;
}

function createEdge(
  { isolate, now, log, cache, originDeadlinesMs, holdOf: hold = holdOf }: AppOptions,
  context: AppContext,
): Edge {
  const { env } = context;
  const { headers, signal, url } = context.req.raw;
  const network = clientNetworkOf(headers);
  const settings = readSettings(env);
  const { problem } = settings;
  if (problem !== undefined && !isolate.told.has(problem)) {
    isolate.told.add(problem);
    log({ level: "error", event: "misconfigured", problem });
  }
  const { originUrls, secretKeys, pinFreshMs, originWaitMs, platforms, zstd, logsPulls } = settings;
  const later: Edge["later"] = (event, work) => {
    const logged = work().catch((cause) => log({ level: "warn", event: `${event} failed`, cause }));
    context.executionCtx.waitUntil(logged);
  };
  return {
    kv: env.KV,
    r2: env.R2,
    cache: cache ?? caches.default,
    cachedBlobs: settings.usesWorkersCache ? cachedBlobsOf(context) : undefined,
    host: new URL(url).hostname,
    memory: isolate.memory,
    configs: isolate.configs,
    seen: isolate.seen,
    vainTries: isolate.vainTries,
    refreshes: isolate.refreshes,
    flights: isolate.flights,
    fills: isolate.fills,
    pulls: originUrls.length === 0 || secretKeys.length === 0 ? null : isolate.pulls,
    secretKeys,
    pinFreshMs,
    platforms,
    zstd,
    blobsUrl: settings.blobsUrl,
    logsPulls,
    now,
    log,
    origin: createOrigin({
      urls: originUrls,
      health: isolate.health,
      ...{ secretKeys, now, later },
      onPassedOver: (origin, forMs, cause) =>
        log({ level: "warn", event: "origin passed over", origin, forMs, cause }),
      onBack: (origin) => log({ level: "info", event: "origin is back", origin }),
      fetch: (request) => fetch(request),
      follows: settings.followsRedirects,
      onLost: (cause) =>
        log({ level: "warn", event: "no blob where the origin sent the edge", cause }),
      held: heldBy(hold(clientOf(headers)), originWaitMs, signal),
      network,
      ...(originDeadlinesMs && { deadlinesMs: originDeadlinesMs }),
    }),
    trace: createTrace(() => performance.now()),
    misses: createMissLimit({
      limiter: env.MISS_LIMIT,
      ...{ network, refusals: isolate.refusals, now },
      onFailure: (cause) => log({ level: "warn", event: "limit failed", cause }),
    }),
    keeps: createKeepLimit({
      limiter: env.KEEP_LIMIT,
      network,
      onFailure: (cause) => log({ level: "warn", event: "limit failed", cause }),
    }),
    later,
  };
}

/** Hono's own type of a context knows no entrypoints. */
function cachedBlobsOf({ executionCtx }: AppContext): Pick<Fetcher, "fetch"> | undefined {
  const { exports } = executionCtx as unknown as { exports?: Record<string, Fetcher> };
  return exports?.CachedBlobs;
}
