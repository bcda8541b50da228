// One request: to the route's handler, and to one error boundary.

import type { Identifying } from "../registry/access/credentials.ts";
import { type Gate, passGate } from "../registry/access/gate.ts";
import { passPageGate } from "../registry/access/page-gate.ts";
import { answerToken, isTokenRequest } from "../registry/access/token-endpoint.ts";
import { RegistryError } from "../registry/http/error.ts";
import { isOperators, isPage, noSuchPage, parsePageRoute } from "../registry/http/page-route.ts";
import { isIngest, parseIngestRoute, parseRoute, type Route } from "../registry/http/route.ts";
import { identifyingFor } from "./access/guard.ts";
import { createMeanings } from "./access/meanings.ts";
import { type AppOptions, type AskedRoute, createEdge, type Isolate } from "./create-edge.ts";
import { handle } from "./handle.ts";
import { ingest } from "./ingest/ingest.ts";
import { pageError, servePage } from "./page/serve.ts";
import { clientNetworkOf } from "./request/client-network.ts";
import type { Edge } from "./request/edge.ts";
import type { Env } from "./request/env.ts";

export interface App {
  fetch(request: Request, env: Env, context: Context): Response | Promise<Response>;
}

/** Its exports are in no type of the runtime that knows nothing of this Worker. */
type Context = Pick<ExecutionContext, "waitUntil"> & {
  readonly exports?: Readonly<Record<string, Pick<Fetcher, "fetch">>>;
};

export function createApp(options: AppOptions): App {
  return {
    fetch: (request, env, context) =>
      hotAnswer(options, request, env) ?? answer(options, request, env, context),
  };
}

function hotAnswer({ isolate, now }: AppOptions, request: Request, env: Env): Response | undefined {
  return env.NIXPORT_POLICY ? undefined : isolate.hot.answer(request, now());
}

async function answer(
  options: AppOptions,
  request: Request,
  env: Env,
  context: Context,
): Promise<Response> {
  const startedMs = options.now();
  const answered = Promise.withResolvers<void>();
  const edge = createEdge(options, request, env, {
    behind: (work) => context.waitUntil(answered.promise.then(nextTurn).then(work)),
    cachedBlobs: () => context.exports?.CachedBlobs,
  });
  const response = await respond({ edge, isolate: options.isolate, request, env, startedMs });
  answered.resolve();
  return response;
}

/** When the runtime has the answer: what is done before that, however small, its client waits for. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

interface Asked {
  readonly edge: Edge;
  readonly isolate: Isolate;
  readonly request: Request;
  readonly env: Env;
  readonly startedMs: number;
}

async function respond(asked: Asked): Promise<Response> {
  const { edge, request } = asked;
  try {
    const response = await answerTo(asked);
    if (!edge.trace.isGiven()) edge.trace.writeTo(response.headers);
    return response;
  } catch (error) {
    const response = await pageError(edge, request, boundary(edge, request, error));
    edge.trace.writeTo(response.headers);
    return response;
  }
}

async function answerTo({ edge, isolate, request, env, startedMs }: Asked): Promise<Response> {
  // Parsed before anything is read: a wrong path or name costs no storage access.
  const route = routeOf(isolate, request);
  if (route === "ingest") {
    const url = new URL(request.url);
    return ingest(edge, request, url, parseIngestRoute(request.method, url));
  }
  const identifying = identifyingOf(edge, isolate, request, env);
  if (route === "token") {
    const url = new URL(request.url);
    if (identifying !== null) return answerToken(identifying, request, url);
    return handle(edge, request, parseRoute(request.method, url));
  }
  if (route.kind === "page") {
    const { page } = route;
    const served = () => servePage(edge, request, page);
    if (identifying === null) {
      // Nobody has been asked who it is.
      if (isOperators(page)) throw noSuchPage();
      return served();
    }
    return passPageGate(gateOf(edge, isolate, identifying), request, page, served);
  }
  const answered = () => handle(edge, request, route);
  const response =
    identifying === null
      ? await answered()
      : await passGate(gateOf(edge, isolate, identifying), request, route, answered);
  if (identifying === null) noteHot(edge, isolate, request, { route, response });
  if (edge.logsPulls) logPull(edge, { route, response, startedMs });
  return response;
}

/** The same answer may be given to whoever asks so next. */
function noteHot(
  edge: Edge,
  { hot }: Isolate,
  { method, url }: Request,
  { route, response }: Omit<Answered, "startedMs">,
): void {
  if (route.kind !== "manifest" || route.reference.kind !== "digest") return;
  const isWhole = method === "GET" && response.status === 200;
  if (!isWhole || edge.trace.tier() !== "memory") return;
  hot.note(url, route.reference.digest, response.headers, edge.now());
}

/** GET and HEAD ask for the same. What is refused is read anew with each request. */
function routeOf({ routes }: Isolate, { method, url }: Request): AskedRoute {
  const read = () => {
    const parsed = new URL(url);
    if (isIngest(parsed)) return "ingest";
    if (isTokenRequest(parsed)) return "token";
    return isPage(parsed)
      ? ({ kind: "page", page: parsePageRoute(method, parsed) } as const)
      : parseRoute(method, parsed);
  };
  return method === "GET" || method === "HEAD" ? routes.of(url, read) : read();
}

/** Null where everybody may pull everything. */
function identifyingOf(
  edge: Edge,
  { access: memory, told }: Isolate,
  { headers, url }: Request,
  { NIXPORT_POLICY: policy, LOGIN_LIMIT: limiter }: Env,
): Identifying | null {
  if (!policy) return null;
  const network = clientNetworkOf(headers);
  return identifyingFor({ memory, policy, limiter, network, told }, edge, url);
}

function gateOf(edge: Edge, { access }: Isolate, identifying: Identifying): Gate {
  return { identifying, meanings: createMeanings(edge, access) };
}

interface Answered {
  readonly route: Route;
  readonly response: Response;
  readonly startedMs: number;
}

/** What was cached: of what it was asked for itself, the origin says more. */
function logPull(edge: Edge, { route, response, startedMs }: Answered): void {
  const tier = edge.trace.tier();
  if (tier === undefined || route.kind !== "manifest" || route.reference.kind !== "tag") return;
  const { repository: image, reference } = route;
  const variant = edge.variant();
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
