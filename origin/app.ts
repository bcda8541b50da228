// The origin's answers: one switch over the route, GET and HEAD alike, one error boundary.

import { getConnInfo } from "@hono/node-server/conninfo";
import { Hono } from "hono";
import { passGate } from "../registry/access/gate.ts";
import { MEANING_HEADER } from "../registry/access/meaning.ts";
import { passPageGate } from "../registry/access/page-gate.ts";
import { answerToken, isTokenRequest } from "../registry/access/token-endpoint.ts";
import { pingResponse } from "../registry/http/answer.ts";
import { errorResponse, RegistryError } from "../registry/http/error.ts";
import {
  isOfSite,
  isOperators,
  isPage,
  noSuchPage,
  type PageRoute,
  parsePageRoute,
} from "../registry/http/page-route.ts";
import { referrersResponse } from "../registry/http/referrers.ts";
import { isBelowV2, isTold, parseRoute, type Route } from "../registry/http/route.ts";
import { answerMeaning } from "./access/answer-meaning.ts";
import { type Guard, identifyingFor } from "./access/guard.ts";
import { isLocalClient } from "./access/local-client.ts";
import { type FindingMeanings, meaningsFor } from "./access/meanings.ts";
import { failureError } from "./failures/failures.ts";
import { hostFailureOf } from "./failures/host-error.ts";
import { pageError, type ServingPages, servePage } from "./page/serve.ts";
import { type Asker, type Asking, askerOf } from "./pulling/asker.ts";
import { serveBlob } from "./pulling/blobs.ts";
import { type PullingByDigest, serveManifest } from "./pulling/by-digest.ts";
import { type PullingByTag, serveTag } from "./pulling/by-tag.ts";
import { openPullNote, type PullNote } from "./pulling/pull-note.ts";
import { type ListingTags, serveTagList } from "./pulling/tag-list.ts";
import { takeToldPulls } from "./pulling/told-pulls.ts";
import type { WebSite } from "./web/site.ts";

export interface AppOptions
  extends Asking,
    PullingByTag,
    PullingByDigest,
    ListingTags,
    ServingPages {
  /** Who may pull: anyone, or only an edge that signs its requests. */
  readonly access: "anyone" | "edge";
  /** Who of them may pull what; null: all of them everything. */
  readonly guard: Guard | null;
  /** To whom besides the operators of a policy it is told how this origin is doing. */
  readonly operatorView: "local" | null;
  readonly finding: FindingMeanings;
  /** What is not below /v2 and no page, for anyone: whoever names a folder for it wants it seen. */
  readonly web: WebSite | null;
}

export function createApp(options: AppOptions): Hono {
  const app = new Hono();
  app.all("*", async (context) => {
    const request = context.req.raw;
    const startedMs = options.now();
    options.log.debug({ method: request.method, path: context.req.path }, "asked");
    const note = openPullNote();
    const { address } = getConnInfo(context).remote;
    const response = await answer(options, request, address, note);
    options.log.info(
      {
        method: request.method,
        path: context.req.path,
        status: response.status,
        ms: options.now() - startedMs,
        ...note.facts(),
      },
      "answered",
    );
    return response;
  });
  return app;
}

async function answer(
  options: AppOptions,
  request: Request,
  address: string | undefined,
  note: PullNote,
): Promise<Response> {
  try {
    const url = new URL(request.url);
    const asker = await askerOf(options, request, url.pathname, address);
    const identifying = options.guard && identifyingFor(options.guard, url, asker);
    if (identifying && isTokenRequest(url)) {
      authorise(options, asker);
      return await answerToken(identifying, request, url);
    }
    if (isTold(url)) return await takeToldPulls(options, request, url.pathname);
    const page = await pageOf(options, request.method, url);
    if (page !== undefined) {
      const served = () => servePage(options, request, page, asker.client);
      if (isOperators(page)) {
        // An edge has asked who it is.
        if (asker.isKnown || isLocalOperator(options, request, address)) return await served();
        if (identifying === null) throw noSuchPage();
      }
      authorise(options, asker);
      if (identifying === null || asker.isKnown) return await served();
      const meanings = meaningsFor(options.finding, request, asker);
      return await passPageGate({ identifying, meanings }, request, page, served);
    }
    if (options.web !== null && !isBelowV2(url)) return await options.web.serve(request, url);
    const route = parseRoute(request.method, url);
    authorise(options, asker);
    const meanings = meaningsFor(options.finding, request, asker);
    if (asker.isKnown) {
      if (request.headers.has(MEANING_HEADER)) return await answerMeaning(meanings, request, route);
      return await serve(options, request, route, asker, note);
    }
    const answer = () => serve(options, request, route, asker, note);
    return identifying
      ? await passGate({ identifying, meanings }, request, route, answer)
      : await answer();
  } catch (error) {
    if (error instanceof RegistryError) {
      note.refused(error);
      return await errorAnswer(options, request, error);
    }
    if (request.signal.aborted) {
      note.left();
      const left = new RegistryError("UNAVAILABLE", "the client has left");
      return await errorAnswer(options, request, left);
    }
    const host = hostFailureOf(error);
    const what = host === undefined ? "a request failed" : "this host failed a request";
    options.log.error({ err: error, path: request.url, ...host }, what);
    const failed =
      host === undefined ? new RegistryError("UNKNOWN", "internal error") : failureError(host);
    note.refused(failed);
    return await errorAnswer(options, request, failed);
  }
}

/** Undefined for what is no page here: a site of the operator's own has `/` and its files. */
async function pageOf(
  { web, assets }: AppOptions,
  method: string,
  url: URL,
): Promise<PageRoute | undefined> {
  if (!isPage(url)) return undefined;
  if (web === null || !isOfSite(url)) return parsePageRoute(method, url);
  return (await assets.has(url)) ? parsePageRoute(method, url) : undefined;
}

async function errorAnswer(
  options: AppOptions,
  request: Request,
  error: RegistryError,
): Promise<Response> {
  const isSites = options.web !== null && isOfSite(new URL(request.url));
  return isSites ? errorResponse(error, request.method) : pageError(options, request, error);
}

function isLocalOperator(
  { operatorView }: AppOptions,
  request: Request,
  address: string | undefined,
): boolean {
  return operatorView === "local" && isLocalClient(request, address);
}

function authorise({ access }: AppOptions, { isKnown }: Asker): void {
  if (access === "anyone" || isKnown) return;
  throw new RegistryError("UNAUTHORIZED", "this origin answers its edge only: pull from the edge");
}

async function serve(
  options: AppOptions,
  request: Request,
  route: Route,
  asker: Asker,
  note: PullNote,
): Promise<Response> {
  switch (route.kind) {
    case "ping":
      return pingResponse(request.method);
    case "manifest":
      return route.reference.kind === "tag"
        ? serveTag(options, request, { ...route, tag: route.reference.tag }, asker, note)
        : serveManifest(options, request, { ...route, digest: route.reference.digest });
    case "blob":
      return serveBlob(options, request, route, asker);
    case "tags":
      return serveTagList(options, request, route, asker);
    case "referrers":
      return referrersResponse(new URL(request.url), request.method);
    default:
      return route satisfies never;
  }
}
