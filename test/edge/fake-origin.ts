// An origin for tests: a real HTTP server on loopback that answers what a test tells it to, notes
// what it was asked, and can be stopped and started again on the same port.

import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { PULLED_PATH } from "../../registry/http/route.ts";

export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
}

export interface Told {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
}

export type Answering = (asked: Asked, response: ServerResponse) => Told | "by hand" | undefined;

export interface FakeOrigin {
  readonly url: string;
  readonly asked: Asked[];
  /** The bodies of what the edge has told it of pulls. */
  readonly told: string[];
  /** Undefined from it is the registry's 404. */
  answering: Answering;
  stop(): Promise<void>;
  start(): Promise<void>;
}

export async function startFakeOrigin(): Promise<FakeOrigin> {
  let server: Server | undefined;
  let port = 0;
  const asked: Asked[] = [];
  const told: string[] = [];

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.url === PULLED_PATH) {
      told.push(await text(request));
      response.writeHead(204).end();
      return;
    }
    const one = { method: request.method ?? "", path: request.url ?? "", headers: request.headers };
    asked.push(one);
    const answer =
      origin.answering(one, response) ?? registryError(404, "MANIFEST_UNKNOWN", "none");
    if (answer === "by hand") return;
    response.writeHead(answer.status, {
      "Content-Length": Buffer.byteLength(answer.body ?? ""),
      ...answer.headers,
    });
    response.end(request.method === "HEAD" ? undefined : answer.body);
  }

  async function start(): Promise<void> {
    if (server !== undefined) return;
    server = createServer((...args) => void serve(...args)).listen(port, "127.0.0.1");
    await once(server, "listening");
    port = (server.address() as AddressInfo).port;
  }

  await start();
  const origin: FakeOrigin = {
    url: `http://127.0.0.1:${port}`,
    ...{ asked, told },
    answering: () => undefined,
    start,
    async stop() {
      if (server === undefined) return;
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      server = undefined;
      await closed;
    },
  };
  return origin;
}

export function registryError(
  status: number,
  code: string,
  message: string,
  headers: Readonly<Record<string, string>> = {},
  detail?: unknown,
): Told {
  return {
    status,
    headers: { "Content-Type": "application/json", ...headers },
    body: JSON.stringify({ errors: [{ code, message, detail }] }),
  };
}
