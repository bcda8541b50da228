// Clients as they wait: each is held by the edge for as long as it has patience, and told then what it
// asks again after. Seconds are short here, those of the clients and of the origin alike.

import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { afterAll, assert, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { clientOf } from "../../../registry/http/clients.ts";
import { digestOfText } from "../../registry/fixture.ts";
import { registryError, type Told } from "../fake-origin.ts";
import { imageOf, stockOf } from "../stock.ts";
import { blobPath, errorOf, manifestPath, startWorld, type World } from "../world.ts";

const SECOND_MS = 20;
const PATH = manifestPath("git", "latest");
const CONTAINERD = "containerd/v2.3.1";
const SKOPEO = "skopeo/1.9.3";
let world: World;
let image: Told;

beforeAll(async () => {
  world = await startWorld();
  const { manifest } = await imageOf(await stockOf(["git"]), "git");
  const headers = { "Content-Type": manifest.mediaType, "Docker-Content-Digest": manifest.digest };
  image = { status: 200, headers, body: manifest.bytes };
});
afterAll(() => world.close());
beforeEach(() => {
  world.origin.asked.length = 0;
});

const pull = (agent: string, path = PATH) =>
  world.pull(path, { headers: { "User-Agent": agent }, controls: { secondMs: SECOND_MS } });

function busy(retryAfter: string): Told {
  const after = { "Retry-After": retryAfter };
  return registryError(429, "TOOMANYREQUESTS", "too many: 7 wait already", after, [
    { reason: "busy" },
  ]);
}

/** The origin gives these answers in turn, and the last of them from then on. */
function answers(...all: readonly Told[]): void {
  let next = 0;
  world.origin.answering = () => all[Math.min(next++, all.length - 1)];
}

async function timed<Result>(work: Promise<Result>): Promise<[Result, seconds: number]> {
  const startedMs = performance.now();
  return [await work, (performance.now() - startedMs) / SECOND_MS];
}

/** Asks again at once after what the table says, and as often. */
async function pullAs(agent: string): Promise<{ response: Response; tries: number }> {
  const { asksAgain } = clientOf(new Headers({ "User-Agent": agent }));
  for (let tries = 1; ; tries++) {
    const response = await pull(agent);
    const again = asksAgain.find(({ status }) => status === response.status);
    if (again === undefined || tries > again.times) return { response, tries };
    await response.body?.cancel();
  }
}

describe("while the origin says nothing", { timeout: 30_000 }, () => {
  test("one that gives up is answered before, and the origin's request let go", async () => {
    const { promise, resolve } = Promise.withResolvers<ServerResponse>();
    world.origin.answering = (_, response) => {
      resolve(response);
      return "by hand";
    };
    const asking = timed(pull(CONTAINERD));
    const closed = once(await promise, "close");
    const [response, seconds] = await asking;
    expect(seconds).toBeGreaterThanOrEqual(26.8);
    expect(response.status).toBe(429);
    expect(response.headers.has("Retry-After")).toBe(true);
    expect((await errorOf(response)).message).toMatch(/^not ready yet/);
    await closed;
  });

  test("those that do not give up are held, where others were told long ago", async () => {
    const waiting: ServerResponse[] = [];
    world.origin.answering = (_, response) => {
      waiting.push(response);
      return "by hand";
    };
    const agents = [SKOPEO, "containerd/1.6.20~ds1", "docker/20.10.24 go/go1.19.8", "curl/8"];
    const held = agents.map((agent) => pull(agent));
    expect((await pull(CONTAINERD)).status).toBe(429);
    for (const response of waiting) response.writeHead(200, image.headers).end(image.body);
    const statuses = (await Promise.all(held)).map(({ status }) => status);
    expect(statuses).toStrictEqual([200, 200, 200, 200]);
  });

  test("a build of two minutes is a pull that ends well for one that gives up after 30 s", async () => {
    // Each request is held for 27 s, so that the fifth comes before the build ends.
    world.origin.answering = () => (world.origin.asked.length < 5 ? "by hand" : image);
    const { response, tries } = await pullAs(CONTAINERD);
    expect([response.status, tries]).toStrictEqual([200, 5]);
  });

  test("it has been told by when to answer: before the client gives up, and before the edge does", async () => {
    answers(image);
    for (const agent of [CONTAINERD, SKOPEO]) {
      const headers = { "User-Agent": agent };
      await (await world.pull(PATH, { headers, controls: { deadlineMs: 120_000 } })).bytes();
    }
    const preferred = world.origin.asked.map(({ headers }) => headers.prefer);
    expect(preferred).toStrictEqual(["wait=24", "wait=110"]);
  });
});

describe("an origin with too much to do", { timeout: 30_000 }, () => {
  test.each([CONTAINERD, SKOPEO])("is asked again before %s hears of it", async (agent) => {
    answers(busy("0"), busy("0"), image);
    const { response, tries } = await pullAs(agent);
    expect([response.status, tries]).toStrictEqual([200, 1]);
    expect(world.origin.asked).toHaveLength(3);
  });

  test("is told in its own words at the end of the hold, and asked no earlier than it says", async () => {
    answers(busy("30"));
    const [response, seconds] = await timed(pull(CONTAINERD));
    expect(seconds).toBeGreaterThanOrEqual(26.8);
    expect(response.status).toBe(429);
    expect(response.headers.get("Retry-After")).toBe("30");
    const { message, detail } = await errorOf(response);
    expect(message).toBe("too many: 7 wait already");
    expect(detail).toStrictEqual([{ reason: "busy" }]);
    expect(world.origin.asked).toHaveLength(1);
  });

  test("is asked for a blob again too", async () => {
    const bytes = new TextEncoder().encode("remade");
    const digest = digestOfText("remade");
    answers(busy("0"), { status: 200, body: bytes });
    const response = await pull(CONTAINERD, blobPath(digest));
    assert(response.status === 200);
    expect(await response.bytes()).toStrictEqual(bytes);
  });
});
