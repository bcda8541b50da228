// The edge in front of an origin that is still building: it waits, within limits, and stops when its
// client leaves.

import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { connect } from "node:net";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { pinOf } from "../../registry/fixture.ts";
import { BEHIND_PATH, CONTROLS_HEADER, type Controls, NOW_MS } from "../controls.ts";
import { registryError, type Told } from "../fake-origin.ts";
import { imageOf, type Stock, stockOf } from "../stock.ts";
import { errorOf, manifestPath, PIN_FRESH_MS, startWorld, type World } from "../world.ts";

const WAIT_SECONDS = 2;
const PATH = manifestPath("git", "latest");
let world: World;
let stock: Stock;
let image: Told;
let askedAtMs: number[];

beforeAll(async () => {
  world = await startWorld({ originWaitSeconds: WAIT_SECONDS });
  stock = await stockOf(["git"]);
  const { manifest } = await imageOf(stock, "git");
  image = {
    status: 200,
    headers: { "Content-Type": manifest.mediaType, "Docker-Content-Digest": manifest.digest },
    body: manifest.bytes,
  };
});
afterAll(() => world.close());

/** The origin gives these answers in turn, and the last of them from then on. */
function answers(...all: readonly (Told | "by hand")[]): void {
  let next = 0;
  world.origin.answering = () => {
    askedAtMs.push(performance.now());
    return all[Math.min(next++, all.length - 1)];
  };
}

beforeEach(() => {
  world.origin.asked.length = 0;
  askedAtMs = [];
});

const building = (retryAfter: string): Told =>
  registryError(
    503,
    "UNAVAILABLE",
    "not ready yet: building 1 of 2: x",
    { "Retry-After": retryAfter },
    [{ reason: "building", progress: null }],
  );

describe("an image that the origin is still building", { timeout: 60_000 }, () => {
  test("is asked for again, not before the origin says, until it is there", async () => {
    answers(building("1"), building("0"), image);
    const response = await world.pull(PATH);
    expect(response.status).toBe(200);
    expect(response.headers.get("Docker-Content-Digest")).toBe(
      image.headers?.["Docker-Content-Digest"],
    );
    const [first = 0, second = 0] = askedAtMs;
    expect(askedAtMs).toHaveLength(3);
    // Two clocks: each may round by a millisecond.
    expect(second - first, `${second - first} ms`).toBeGreaterThanOrEqual(998);
  });

  test("is the client's to ask for again at the limit", async () => {
    answers(building("1"));
    const startedMs = performance.now();
    const response = await world.pull(PATH);
    expect(response.status).toBe(503);
    expect(response.headers.get("Retry-After")).toBe("1");
    const { code, message, detail } = await errorOf(response);
    expect(code).toBe("UNAVAILABLE");
    const { host } = new URL(world.edge.url);
    expect(message).toBe(`not ready yet: building 1 of 2: x; see http://${host}/i/git`);
    expect(detail).toStrictEqual([{ reason: "building", progress: null }]);
    expect(askedAtMs.length >= 2 && askedAtMs.length <= WAIT_SECONDS + 1, String(askedAtMs)).toBe(
      true,
    );
    expect(performance.now() - startedMs).toBeLessThan(1000 * (WAIT_SECONDS + 5));
  });

  test("is not asked for again when that would be beyond the limit, and held until then", async () => {
    answers(building("3600"));
    const startedMs = performance.now();
    const response = await world.pull(PATH);
    expect(performance.now() - startedMs).toBeGreaterThanOrEqual(1000 * WAIT_SECONDS - 2);
    expect(response.headers.get("Retry-After")).toBe("3600");
    expect(askedAtMs).toHaveLength(1);
  });

  test("is told apart from too much to do, which is 429 for everybody", async () => {
    answers(registryError(429, "TOOMANYREQUESTS", "too many", { "Retry-After": "3600" }));
    const response = await world.pull(PATH);
    expect(response.status).toBe(429);
    expect((await errorOf(response)).message).toBe("too many");
  });

  test("is not what a source that cannot be reached says: that goes to the client at once, and is not kept", async () => {
    const detail = [{ reason: "unreachable" }];
    answers(registryError(503, "UNAVAILABLE", "no network", { "Retry-After": "1" }, detail), image);
    const response = await world.pull(PATH);
    expect(response.status).toBe(503);
    expect(response.headers.get("Retry-After")).toBe("1");
    expect((await errorOf(response)).message).toBe("no network");
    expect(askedAtMs).toHaveLength(1);
    expect((await world.pull(PATH)).status).toBe(200);
  });
});

describe("a client that leaves", { timeout: 60_000 }, () => {
  /** Reset, since workerd takes a mere end of what a client sends for one that still reads. */
  async function ask(controls: Controls = {}): Promise<{ leave(): void }> {
    const { hostname, port } = new URL(world.edge.url);
    const socket = connect(Number(port), hostname);
    socket.on("error", () => undefined);
    await once(socket, "connect");
    const told = `${CONTROLS_HEADER}: ${JSON.stringify(controls)}`;
    socket.write(`GET ${PATH} HTTP/1.1\r\nHost: registry\r\n${told}\r\n\r\n`);
    return { leave: () => socket.resetAndDestroy() };
  }

  // The runtime ends a request that nobody waits for, unless there is work behind its answer.
  for (const behind of [false, true]) {
    const title = `is left by the edge's request to the origin too, ${behind ? "with" : "without"} work behind`;
    test(title, { timeout: 15_000 }, async () => {
      const { promise, resolve } = Promise.withResolvers<ServerResponse>();
      const { promise: working, resolve: work } = Promise.withResolvers<ServerResponse>();
      world.origin.answering = ({ path }, response) => {
        if (path === BEHIND_PATH) work(response);
        else resolve(response);
        return "by hand";
      };
      const client = await ask({ behind, deadlineMs: 60_000 });
      const response = await promise;
      const unfinished = behind ? await working : undefined;
      const closed = once(response, "close");
      client.leave();
      await closed;
      expect(response.writableFinished).toBe(false);
      unfinished?.end();
    });
  }

  test("is not asked for any more", async () => {
    answers(building("1"));
    const client = await ask();
    while (askedAtMs.length === 0) await new Promise(setImmediate);
    client.leave();
    // By then the edge would have asked twice more for a client that stayed.
    await (await world.pull(manifestPath("git", "other"))).body?.cancel();
    const paths = world.origin.asked.map(({ path }) => path);
    expect(paths.filter((path) => path === PATH)).toStrictEqual([PATH]);
  });
});

describe("what the edge asks for itself", () => {
  test("is wanted though it does not wait, unlike what its client asks for", async () => {
    await world.backfill(stock, {
      tag: "moving",
      pin: pinOf("a".repeat(40)),
      repositories: ["git"],
    });
    answers(image);
    const controls = { nowMs: NOW_MS + PIN_FRESH_MS };
    expect((await world.pull(manifestPath("git", "moving"), { controls })).status).toBe(200);
    expect((await world.pull(PATH)).status).toBe(200);
    const said = world.origin.asked.map(({ method, headers }) => [method, headers.prefer]);
    expect(said).toStrictEqual([
      ["HEAD", "respond-async"],
      ["GET", "wait=18"],
    ]);
  });
});
