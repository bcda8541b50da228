// How the origin listens, and how it stops: answers under way may finish for a while. Nothing that
// clients send is read beyond its headers, for a pull has no body.

import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { createAdaptorServer, type ServerType } from "@hono/node-server";
import type { Hono } from "hono";
import type { Config } from "./configuration/config.ts";

export interface RunningServer {
  readonly url: string;
  close(): Promise<void>;
}

const DRAIN_DEADLINE_MS = 5000;
/**
 * Proxies keep a connection for their next request, for 60 s (nginx, load balancers) or 90 s
 * (cloudflared): one that is closed just then is their client's 502.
 */
const KEEP_ALIVE_MS = 120_000;
/** Of an idle connection it runs as well, so it must not end one before its time. */
const HEADERS_DEADLINE_MS = KEEP_ALIVE_MS + 10_000;
/** A body of more is not read to its end, only to have the connection for another request. */
const MAX_SKIPPED_BYTES = 64 * 1024;
/** For how long a client that is still sending may take to notice its answer. */
const LINGER_MS = 1000;

export async function serveApp(
  app: Hono,
  place: Pick<Config, "host" | "port">,
): Promise<RunningServer> {
  const server = createAdaptorServer({
    fetch: app.fetch,
    // HTTP/1.0 needs to name none.
    hostname: "localhost",
    // It would read up to 64 MiB.
    autoCleanupIncoming: false,
  });
  if ("keepAliveTimeout" in server) {
    server.keepAliveTimeout = KEEP_ALIVE_MS;
    server.headersTimeout = HEADERS_DEADLINE_MS;
    server.prependListener("request", skipBody);
    // Who asks whether to send a body is answered instead.
    server.on("checkContinue", (...asked) => server.emit("request", ...asked));
  }
  return { url: await listen(server, place), close: () => closeServer(server) };
}

/**
 * A connection whose client is still sending is closed after the answer as RFC 9112 §9.6 says: first
 * for writing alone, since a client whose bytes meet a closed connection may lose what it was told.
 */
function skipBody(request: IncomingMessage, response: ServerResponse): void {
  const { headers, socket } = request;
  const sizeBytes = Number(headers["content-length"] ?? 0);
  const isShort = headers["transfer-encoding"] === undefined && sizeBytes <= MAX_SKIPPED_BYTES;
  if (isShort && headers.expect === undefined) return;
  response.setHeader("Connection", "close");
  // Node reads on to the end of what nobody has begun to read; of this it takes a buffer full.
  request.read(0);
  // What Node calls at the end of the answer, and which by itself closes both ways at once.
  socket.destroySoon = () => {
    socket.end();
    const timer = setTimeout(() => socket.destroy(), LINGER_MS);
    socket.once("close", () => clearTimeout(timer));
  };
}

async function listen(
  server: ServerType,
  { host, port }: Pick<Config, "host" | "port">,
): Promise<string> {
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
