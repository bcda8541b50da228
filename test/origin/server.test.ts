// How the origin listens: what of HTTP it takes, and how long its connections last.

import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { Hono } from "hono";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { type RunningServer, serveApp } from "../../origin/server.ts";
import { endOfFile } from "./fixture.ts";

const MESSAGE = "nothing can be pushed";
/** What a client could send until the connection is gone, of the kernel's buffers most. */
const MAX_TAKEN_BYTES = 64 * 1024 * 1024;
const atEnd = endOfFile();
let server: RunningServer;

beforeAll(async () => {
  const app = new Hono();
  // Behind a wait, as answers are: a body that nobody reads lies there meanwhile.
  app.all("*", async ({ req }) => {
    await Promise.resolve();
    return req.method === "GET" ? new Response(req.url) : new Response(MESSAGE, { status: 405 });
  });
  server = await serveApp(app, { host: "127.0.0.1", port: 0 });
  atEnd(() => server.close());
});

interface Talk {
  readonly socket: Socket;
  /** All that was received up to now. */
  readonly received: () => string;
  /** Resolves when the server sends no more. */
  readonly ended: Promise<unknown>;
}

function talk(head: string): Talk {
  const socket = connect({ port: Number(new URL(server.url).port), allowHalfOpen: true });
  onTestFinished(() => void socket.destroy());
  let text = "";
  socket.on("data", (data) => {
    text += data;
  });
  // Who goes on sending finds out that way.
  socket.on("error", () => {});
  socket.write(`${head}\r\n\r\n`);
  return { socket, received: () => text, ended: once(socket, "end") };
}

describe("the server", () => {
  test.each([
    ["HTTP/1.0 without a host", "GET /x HTTP/1.0", 200],
    ["HTTP/1.0 with one", "GET /x HTTP/1.0\r\nHost: localhost", 200],
    ["HTTP/1.1 without a host", "GET /x HTTP/1.1\r\nConnection: close", 400],
  ])("answers %s", async (_, head, status) => {
    const { received, ended } = talk(head);
    await ended;
    expect(received()).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    if (status === 200) expect(received()).toMatch(/\r\n\r\nhttp:\/\/localhost\/x$/);
  });

  test("keeps a connection for longer than proxies do", async () => {
    const response = await fetch(server.url);
    await response.text();
    const [, seconds = ""] = /timeout=(\d+)/.exec(response.headers.get("Keep-Alive") ?? "") ?? [];
    expect(Number(seconds)).toBeGreaterThan(90);
  });

  test.each([
    ["a large body", "PUT /x HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000000", ""],
    ["a large body of a GET", "GET /x HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000000", ""],
    [
      "a body of unknown length",
      "PUT /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked",
      "fff0000\r\n",
    ],
  ])("answers before %s has come, and reads no more of it", async (_, head, begin) => {
    const { socket, received, ended } = talk(head);
    socket.write(begin);
    const chunk = Buffer.alloc(1024 * 1024);
    const closed = new Promise((resolve) => socket.once("close", resolve));
    const send = () => {
      while (socket.writable && socket.write(chunk));
    };
    socket.on("drain", send);
    send();
    await ended;
    expect(received()).toMatch(/^HTTP\/1.1 (405|200) /);
    expect(received()).toMatch(/\r\nConnection: close\r\n/);
    await closed;
    expect(socket.bytesWritten).toBeLessThan(MAX_TAKEN_BYTES);
  });

  test("sends for no body that it will not take", async () => {
    const { received, ended } = talk(
      "PUT /x HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9000000000",
    );
    await ended;
    expect(received()).toMatch(/^HTTP\/1.1 405 /);
    expect(received()).toContain(MESSAGE);
  });

  test("keeps a connection whose request had a short body", async () => {
    const { socket, received, ended } = talk("PUT /x HTTP/1.1\r\nHost: x\r\nContent-Length: 5");
    socket.write("12345GET /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    await ended;
    expect(received()).toMatch(/^HTTP\/1.1 405 [\s\S]*HTTP\/1.1 200 /);
  });
});
