// The progress of an image through the edge: the origin's stream, for as long as its client stays.

import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { afterAll, assert, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { EVENT_STREAM_HEADERS } from "../../../registry/http/event-stream.ts";
import { registryError } from "../fake-origin.ts";
import { errorOf, startWorld, type World } from "../world.ts";

let world: World;
beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world.close());
beforeEach(() => {
  world.origin.asked.length = 0;
});

const PATH = "/api/progress/shell/git:nixos-25.11";
const limit = { timeout: 30_000 };

/** The origin's answer to the next request, to be written by hand. */
function nextAnswer(): Promise<ServerResponse> {
  const { promise, resolve } = Promise.withResolvers<ServerResponse>();
  world.origin.answering = (_, response) => {
    response.writeHead(200, EVENT_STREAM_HEADERS);
    response.write("event: stage\ndata: 1\n\n");
    resolve(response);
    return "by hand";
  };
  return promise;
}

describe("the progress of an image", limit, () => {
  test("is handed on as it comes, and kept nowhere", async () => {
    const answering = nextAnswer();
    const response = await fetch(world.edge.url + PATH);
    expect(response.status).toBe(200);
    expect(response.headers.get("Content-Type")).toBe("text/event-stream");
    expect(response.headers.get("Cache-Control")).toBe("no-store, no-transform");
    const reader = response.body?.getReader();
    assert(reader !== undefined);
    const read = async () => new TextDecoder().decode((await reader.read()).value);
    // Before the origin has written any more.
    expect(await read()).toBe("event: stage\ndata: 1\n\n");
    const origin = await answering;
    origin.write("event: stage\ndata: 2\n\n");
    expect(await read()).toBe("event: stage\ndata: 2\n\n");
    origin.end();
    expect(await reader.read()).toMatchObject({ done: true });
    const [asked] = world.origin.asked;
    expect(asked?.path).toBe(PATH);
    expect(asked?.headers.authorization).toMatch(/^Bearer /);
  });

  test("is let go at the origin when its client leaves", async () => {
    const answering = nextAnswer();
    const leaving = new AbortController();
    const response = await fetch(world.edge.url + PATH, { signal: leaving.signal });
    await response.body?.getReader().read();
    const origin = await answering;
    const closed = once(origin, "close");
    leaving.abort();
    // The runtime sees that a client has left when it is written to.
    const writing = setInterval(() => origin.write(":\n\n"), 20);
    await closed.finally(() => clearInterval(writing));
  });

  test.for([
    [registryError(429, "TOOMANYREQUESTS", "too many watch"), 429, "too many watch"],
    [registryError(404, "NAME_UNKNOWN", "nothing here"), 404, "nothing here"],
    [{ status: 200, body: "a page" }, 503, /could not be used/],
  ] as const)("is what the origin says where it gives none: %#", async ([told, status, said]) => {
    world.origin.answering = () => told;
    const response = await fetch(world.edge.url + PATH);
    expect(response.status).toBe(status);
    expect((await errorOf(response)).message).toMatch(said);
  });

  test("is asked for by names and tags alone", async () => {
    for (const path of ["/api/progress/", "/api/progress/UPPER", "/api/progress/git:"]) {
      expect((await fetch(world.edge.url + path)).status, path).toBeGreaterThanOrEqual(400);
    }
    expect((await fetch(world.edge.url + PATH, { method: "HEAD" })).status).toBe(200);
    expect(world.origin.asked).toStrictEqual([]);
  });
});
