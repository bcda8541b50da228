// How the origin listens, and how it stops: answers under way may finish for a while.

import type { AddressInfo } from "node:net";
import { createAdaptorServer, type ServerType } from "@hono/node-server";
import type { Hono } from "hono";
import type { Config } from "./configuration/config.ts";

export interface RunningServer {
  readonly url: string;
  close(): Promise<void>;
}

const DRAIN_DEADLINE_MS = 5000;
/** A build may take long before its first byte; a request line may not. */
const HEADERS_DEADLINE_MS = 30_000;

export async function serveApp(
  app: Hono,
  place: Pick<Config, "host" | "port">,
): Promise<RunningServer> {
  const server = createAdaptorServer({ fetch: app.fetch });
  return { url: await listen(server, place), close: () => closeServer(server) };
}

async function listen(
  server: ServerType,
  { host, port }: Pick<Config, "host" | "port">,
): Promise<string> {
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
