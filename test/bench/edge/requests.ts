// Asks one thing of a server over and over, for a while, on so many connections at once, each of which asks
// again as soon as it has its answer. Plain sockets: a client that costs as much as what it measures, as
// those of Node do, would measure itself.

import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { percentile } from "../measure.ts";

export interface Load {
  readonly url: string;
  readonly method?: "GET" | "HEAD";
  /** Taken in turns; all are answered with `status`. */
  readonly paths: readonly string[];
  readonly headers?: Readonly<Record<string, string>>;
  readonly status?: number;
  readonly connections: number;
  /** Ends at whichever comes first. */
  readonly seconds: number;
  readonly requests?: number;
}

export interface Loaded {
  readonly requests: number;
  readonly perSecond: number;
  readonly bytesPerSecond: number;
  readonly medianMs: number;
  readonly p99Ms: number;
}

export async function requestOver(options: Load): Promise<Loaded> {
  const { paths, connections, seconds, requests = Number.POSITIVE_INFINITY } = options;
  const startedMs = performance.now();
  const endMs = startedMs + 1000 * seconds;
  const milliseconds: number[] = [];
  let begun = 0;
  let bytes = 0;
  const client = async () => {
    const connection = await open(options);
    try {
      while (begun < requests && performance.now() < endMs) {
        const path = paths[begun % paths.length] ?? "/";
        begun += 1;
        const askedMs = performance.now();
        const got = await connection.ask(path);
        bytes += got;
        milliseconds.push(performance.now() - askedMs);
      }
    } finally {
      connection.close();
    }
  };
  await Promise.all(Array.from({ length: connections }, client));
  const took = (performance.now() - startedMs) / 1000;
  return {
    requests: milliseconds.length,
    perSecond: milliseconds.length / took,
    bytesPerSecond: bytes / took,
    medianMs: percentile(milliseconds, 0.5),
    p99Ms: percentile(milliseconds, 0.99),
  };
}

interface Connection {
  /** How many bytes its answer's body has. */
  ask(path: string): Promise<number>;
  close(): void;
}

async function open({
  url,
  method = "GET",
  headers = {},
  status = 200,
}: Load): Promise<Connection> {
  const { hostname, port, host } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port), noDelay: true });
  await once(socket, "connect");
  const said = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const rest = ` HTTP/1.1\r\nHost: ${host}\r\n${said.join("")}\r\n`;
  const answers = answersOf(socket, method === "HEAD", status);
  return {
    ask(path) {
      socket.write(`${method} ${path}${rest}`, "latin1");
      return answers.next();
    },
    close: () => socket.destroy(),
  };
}

/** One answer at a time, with a length: what is streamed without one is an error here. */
function answersOf(socket: Socket, isBodyless: boolean, status: number) {
  let waiting: PromiseWithResolvers<number> | undefined;
  let head = "";
  /** Of the body; negative until the head is there. */
  let missing = -1;
  let sizeBytes = 0;
  const fail = (what: string) => waiting?.reject(new Error(what));
  socket.on("error", (error) => fail(error.message));
  socket.on("close", () => fail("the server closed a connection"));
  socket.on("data", (chunk: Buffer) => {
    if (missing < 0) {
      head += chunk.toString("latin1");
      const end = head.indexOf("\r\n\r\n");
      if (end < 0) return;
      const bodyBytes = head.length - end - 4;
      const fields = head.slice(0, end);
      head = "";
      const length = /\r\ncontent-length: *(\d+)/i.exec(fields)?.[1];
      if (!fields.startsWith(`HTTP/1.1 ${status} `) || (length === undefined && !isBodyless)) {
        fail(`not ${status} with a length: ${fields.slice(0, 500)}`);
        return;
      }
      sizeBytes = isBodyless ? 0 : Number(length);
      missing = sizeBytes - bodyBytes;
    } else missing -= chunk.length;
    if (missing > 0) return;
    missing = -1;
    waiting?.resolve(sizeBytes);
  });
  return {
    next() {
      waiting = Promise.withResolvers();
      return waiting.promise;
    },
  };
}
