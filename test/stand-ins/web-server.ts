// A server of the outside world at an address of its own: HTTPS at the port where it is looked for,
// plain HTTP beside it, and the faults it was told to have.

import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createSecureServer } from "node:https";
import { setTimeout as pause } from "node:timers/promises";
import { createFaults, type Fault } from "./faults.ts";
import type { Certificates } from "./tls.ts";

export interface WebServer {
  /** Without TLS. */
  readonly url: string;
  /** Such as `GET /nix-cache-info`, in the order in which they came. */
  readonly requests: readonly string[];
  /** Has requests whose path matches go wrong, so many times, or until it is mended. */
  fault(path: RegExp, fault: Fault, times?: number): void;
  mend(): void;
  /** Resolves with the next request whose path matches, or that has come already. */
  untilAsked(path: RegExp): Promise<void>;
}

export interface Asked {
  readonly method: string;
  readonly host: string;
  /** With the query. */
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  body(): Promise<Buffer>;
}

export interface Reply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer | string;
  /** Whether a part of it can be asked for. */
  readonly ranges?: boolean;
  /** Sent in chunks, without its length in front. */
  readonly unmeasured?: boolean;
}

export interface Handler {
  answer(asked: Asked, fault: Fault | undefined): Promise<Reply>;
  /** What is added to a path, for people and for patterns: ` htop-3.4.1` behind `/nar/….nar.zst`. */
  label?(path: string): Promise<string>;
}

export interface RunningServer extends WebServer {
  close(): Promise<void>;
}

const SLOW_STEP_MS = 50;

/** Undefined where the address is taken. */
export async function startWebServer(
  address: string,
  { key, certificate }: Certificates,
  handler: Handler,
): Promise<RunningServer | undefined> {
  const requests: string[] = [];
  const faults = createFaults();
  const waiting = new Set<() => void>();
  const ending = new AbortController();

  const onRequest = (request: IncomingMessage, response: ServerResponse) => {
    take(request, response).catch((error) => {
      // The client has left, or the server ends.
      if (!response.destroyed && !response.headersSent) response.writeHead(500);
      response.end(ending.signal.aborted ? "" : `${error}\n`);
    });
  };
  async function take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url ?? "/";
    const shown = `${path}${(await handler.label?.(path)) ?? ""}`;
    requests.push(`${request.method} ${shown}`);
    for (const wake of waiting) wake();
    await respond(handler, request, response, faults.take(shown), ending.signal);
  }
  const servers: readonly (readonly [Server, number])[] = [
    [createSecureServer({ key, cert: certificate }, onRequest), 443],
    [createServer(onRequest), 80],
  ];
  for (const [server] of servers) server.on("clientError", (_, socket) => socket.destroy());

  const stop = () => {
    for (const [server] of servers) {
      server.close();
      server.closeAllConnections();
    }
  };
  try {
    for (const [server, port] of servers) await once(server.listen(port, address), "listening");
  } catch (error) {
    stop();
    if ((error as NodeJS.ErrnoException).code === "EADDRINUSE") return undefined;
    throw error;
  }
  return {
    url: `http://${address}`,
    requests,
    fault(path, fault, times) {
      if (fault.kind === "refuse") stop();
      else faults.set(path, fault, times);
    },
    mend() {
      faults.clear();
      for (const [server, port] of servers) if (!server.listening) server.listen(port, address);
    },
    async untilAsked(path) {
      while (!requests.some((each) => path.test(each.slice(each.indexOf(" ") + 1)))) {
        const { promise, resolve } = Promise.withResolvers<void>();
        waiting.add(resolve);
        await promise;
        waiting.delete(resolve);
      }
    },
    async close() {
      ending.abort();
      stop();
    },
  };
}

async function respond(
  handler: Handler,
  request: IncomingMessage,
  response: ServerResponse,
  fault: Fault | undefined,
  ending: AbortSignal,
): Promise<void> {
  if (fault?.kind === "hang") return;
  const asked: Asked = {
    method: request.method ?? "GET",
    host: (request.headers.host ?? "").replace(/:\d+$/, ""),
    path: request.url ?? "/",
    headers: request.headers,
    body: () => readBody(request),
  };
  const reply = faulty(fault) ?? (await handler.answer(asked, fault));
  const whole = Buffer.from((reply.body ?? "") as string);
  const from = reply.ranges ? rangeStart(request, whole.length) : 0;
  const body = whole.subarray(from);
  const headers = {
    ...reply.headers,
    ...(reply.ranges && { "Accept-Ranges": "bytes" }),
    ...(from > 0 && { "Content-Range": `bytes ${from}-${whole.length - 1}/${whole.length}` }),
    ...(!reply.unmeasured && { "Content-Length": String(body.length) }),
  };
  response.writeHead(from > 0 ? 206 : reply.status, headers);
  if (request.method === "HEAD") return void response.end();
  await send(response, body, fault, ending);
}

function faulty(fault: Fault | undefined): Reply | undefined {
  if (fault?.kind === "missing") return { status: 404, body: "404\n" };
  if (fault?.kind !== "status") return undefined;
  return { status: fault.status, body: `${fault.status}\n` };
}

async function send(
  response: ServerResponse,
  body: Buffer,
  fault: Fault | undefined,
  ending: AbortSignal,
): Promise<void> {
  switch (fault?.kind) {
    case "cut":
      // In good order, as a server that gives up does, so that no byte before is lost.
      response.write(body.subarray(0, fault.afterBytes), () => response.socket?.end());
      return;
    case "corrupt": {
      const other = Buffer.from(body);
      for (let at = other.length >> 1; at < other.length; at++) other[at] = ~(other[at] ?? 0);
      response.end(other);
      return;
    }
    case "slow": {
      const step = Math.max(1, Math.round((fault.bytesPerSecond * SLOW_STEP_MS) / 1000));
      for (let at = 0; at < body.length && !response.destroyed; at += step) {
        response.write(body.subarray(at, at + step));
        await pause(SLOW_STEP_MS, undefined, { signal: ending });
      }
      response.end();
      return;
    }
    default:
      response.end(body);
  }
}

/** Of `Range: bytes=<from>-`, the only form that downloads are resumed with. */
function rangeStart(request: IncomingMessage, sizeBytes: number): number {
  const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
  return from < sizeBytes ? from : 0;
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks);
}
