// Requests for one blob that come while the origin is being asked for it.

import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { connect } from "node:net";
import { afterAll, assert, beforeAll, describe, expect, test } from "vitest";
import { type Digest, digestOf } from "../../../registry/naming/digest.ts";
import { CONTROLS_HEADER, R2_ANSWERED_PATH } from "../controls.ts";
import { registryError, type Told } from "../fake-origin.ts";
import { blobPath, cacheStatus, startWorld, type World } from "../world.ts";

const CLIENTS = 40;
let world: World;

beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world.close());

/** A blob, and the origin's requests for it, which wait until the test answers them. */
interface Asking {
  readonly digest: Digest;
  readonly requests: readonly ServerResponse[];
  /** Resolves when so many requests are past what is stored here, and the origin was asked. */
  arrived(count: number): Promise<void>;
  /** Resolves when the origin was asked so often. */
  asked(count: number): Promise<void>;
}

async function asking(bytes: Uint8Array): Promise<Asking> {
  const digest = await digestOf(bytes);
  const requests: ServerResponse[] = [];
  const waiting = new Set<() => void>();
  let arrivals = 0;
  world.origin.answering = ({ path }, response) => {
    const isArrival = path === R2_ANSWERED_PATH;
    // Another's, of a test that has failed.
    if (!isArrival && !path.endsWith(digest)) return undefined;
    if (isArrival) arrivals += 1;
    else requests.push(response);
    for (const look of waiting) look();
    return isArrival ? { status: 204 } : "by hand";
  };
  const until = async (isReached: () => boolean) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const look = () => isReached() && resolve();
    waiting.add(look);
    look();
    await promise;
    waiting.delete(look);
    // What the Worker was told before this, it has heard of when this is answered.
    await (await world.pull("/v2/")).bytes();
  };
  return {
    ...{ digest, requests },
    arrived: (count) => until(() => arrivals >= count && requests.length > 0),
    asked: (count) => until(() => requests.length >= count),
  };
}

const pull = (digest: Digest) =>
  world.pull(blobPath(digest), { controls: { tellsOfR2: true, unsettled: true } });
const pulls = (digest: Digest, count = CLIENTS) =>
  Array.from({ length: count }, () => pull(digest));

function answer(response: ServerResponse | undefined, { status, headers, body = "" }: Told): void {
  assert(response);
  response.writeHead(status, { "Content-Length": Buffer.byteLength(body), ...headers }).end(body);
}

function bytesOf(seed: string, length: number): Uint8Array {
  return new TextEncoder().encode(seed.repeat(Math.ceil(length / seed.length)).slice(0, length));
}

describe("a small blob", { timeout: 60_000 }, () => {
  test("is asked for once, however many want it, and each gets all of it", async () => {
    const bytes = bytesOf("small ", 300_000);
    const { digest, requests, arrived, asked } = await asking(bytes);
    const all = pulls(digest);
    await arrived(CLIENTS);
    answer(requests[0], { status: 200, body: bytes });
    const responses = await Promise.all(all);
    for (const response of responses) {
      expect(response.headers.get("Content-Length")).toBe(String(bytes.length));
      expect(await response.bytes()).toStrictEqual(bytes);
    }
    expect(requests).toHaveLength(1);
    const joined = responses.filter((one) => cacheStatus(one) === "nixport; fwd=miss; collapsed");
    expect(joined).toHaveLength(CLIENTS - 1);
    // Nothing is remembered of it, and nothing is written.
    const later = pull(digest);
    await asked(2);
    answer(requests[1], { status: 200, body: bytes });
    expect(cacheStatus(await later)).toBe("nixport; fwd=miss");
  });

  test("comes to those who stay when the one who asked first leaves", async () => {
    const bytes = bytesOf("left ", 2_000_000);
    const { digest, requests, arrived, asked } = await asking(bytes);
    const { hostname, port } = new URL(world.edge.url);
    const first = connect(Number(port), hostname);
    await once(first, "connect");
    const controls = `${CONTROLS_HEADER}: ${JSON.stringify({ tellsOfR2: true, unsettled: true })}`;
    first.write(`GET ${blobPath(digest)} HTTP/1.1\r\nHost: registry\r\n${controls}\r\n\r\n`);
    await asked(1);
    const others = pulls(digest, 3);
    await arrived(4);
    first.resetAndDestroy();
    await (await world.pull("/v2/")).bytes();
    answer(requests[0], { status: 200, body: bytes });
    for (const response of await Promise.all(others)) {
      expect(await response.bytes()).toStrictEqual(bytes);
    }
    expect(requests).toHaveLength(1);
  });

  test("has its headers told before its bytes are here", async () => {
    const bytes = bytesOf("slow ", 1_000_000);
    const { digest, requests, arrived } = await asking(bytes);
    const all = pulls(digest, 3);
    await arrived(3);
    requests[0]?.writeHead(200, { "Content-Length": bytes.length }).write(bytes.slice(0, 10));
    const responses = await Promise.all(all);
    expect(responses.map(({ status }) => status)).toStrictEqual([200, 200, 200]);
    requests[0]?.end(bytes.slice(10));
    for (const response of responses) {
      expect(await response.bytes()).toStrictEqual(bytes);
    }
  });

  test("that the origin does not have is none for all of them", async () => {
    const { digest, requests, arrived } = await asking(bytesOf("nowhere", 7));
    const all = pulls(digest, 5);
    await arrived(5);
    answer(requests[0], registryError(404, "BLOB_UNKNOWN", "no such blob"));
    for (const response of await Promise.all(all)) {
      expect(response.status).toBe(404);
      await response.body?.cancel();
    }
    expect(requests).toHaveLength(1);
  });

  test("is asked for by each where the one request for all has failed", async () => {
    const bytes = bytesOf("cut ", 1000);
    const { digest, requests, arrived, asked } = await asking(bytes);
    const all = pulls(digest, 4);
    await arrived(4);
    answer(requests[0], { status: 502, body: "a proxy's page" });
    await asked(4);
    for (const request of requests.slice(1)) answer(request, { status: 200, body: bytes });
    const responses = await Promise.all(all);
    expect(responses.map(({ status }) => status).sort()).toStrictEqual([200, 200, 200, 503]);
    for (const response of responses) await response.bytes();
  });

  test("that arrives as another is asked for once more by each, and never complete when it lies again", async () => {
    const bytes = bytesOf("lie ", 1000);
    const { digest, requests, arrived, asked } = await asking(bytes);
    const all = pulls(digest, 2);
    await arrived(2);
    const wrong = bytesOf("lye ", 1000);
    answer(requests[0], { status: 200, body: wrong });
    const responses = await Promise.all(all);
    const read = Promise.allSettled(responses.map((response) => response.bytes()));
    await asked(3);
    answer(requests[1], { status: 200, body: wrong });
    answer(requests[2], { status: 200, body: bytes });
    expect((await read).map(({ status }) => status).sort()).toStrictEqual([
      "fulfilled",
      "rejected",
    ]);
  });
});

test("a large blob streams to each from the origin, so that none waits for the slowest", async () => {
  const bytes = bytesOf("large ", 4 * 1024 * 1024 + 1);
  const { digest, requests, arrived, asked } = await asking(bytes);
  const all = pulls(digest, 3);
  await arrived(3);
  requests[0]?.writeHead(200, { "Content-Length": bytes.length }).write(bytes.slice(0, 10));
  await asked(3);
  for (const request of requests.slice(1)) answer(request, { status: 200, body: bytes });
  requests[0]?.end(bytes.slice(10));
  for (const response of await Promise.all(all)) {
    expect(await response.bytes()).toStrictEqual(bytes);
  }
});
