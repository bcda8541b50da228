// Several origins behind one edge: where misses meet, and what a client sees when one of them is down,
// hangs or lies. In none of it does it see wrong bytes, or that something is nowhere which another has.

import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { connect } from "node:net";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { ranking } from "../../../edge/origin-client/ranking.ts";
import type { ComposedImage } from "../../../registry/image/compose.ts";
import { type Digest, digestOf } from "../../../registry/naming/digest.ts";
import { digestOfText } from "../../registry/fixture.ts";
import { type Controls, NOW_MS } from "../controls.ts";
import {
  type Answering,
  type FakeOrigin,
  registryError,
  startFakeOrigin,
  type Told,
} from "../fake-origin.ts";
import { imageOf, stockOf } from "../stock.ts";
import { blobPath, errorOf, manifestPath, type Pull, startWorld, type World } from "../world.ts";

const SMALL = Uint8Array.from({ length: 1000 }, (_, index) => index % 251);
/** Beyond what requests share. */
const LARGE = Uint8Array.from({ length: 5_000_000 }, (_, index) => (index * 7) % 253);
const LARGE_DIGEST = await digestOf(LARGE);
const NAME = "git";
const ABSENT = digestOfText("nowhere");

let world: World;
let all: readonly FakeOrigin[];
/** In the order in which they are asked for what is called git. */
let first: FakeOrigin;
let second: FakeOrigin;
let image: ComposedImage;
let manifest: Told;
let blobs: ReadonlyMap<string, Uint8Array>;

const blobOf = (digest: Digest) => `/v2/${NAME}/blobs/${digest}`;

/** What an honest one says: the manifest of git, and two blobs. */
const honest: Answering = ({ path, headers }) => {
  if (path === "/v2/" || path.endsWith("/tags/list")) return { status: 200, body: "{}" };
  if (path.includes("/manifests/")) return manifest;
  const body = blobs.get(path.slice(path.lastIndexOf("/") + 1));
  if (body === undefined) return registryError(404, "BLOB_UNKNOWN", "no such blob");
  const [, start = "", end = ""] = /^bytes=(\d+)-(\d+)$/.exec(headers.range ?? "") ?? [];
  if (start === "") return { status: 200, body };
  const range = { "Content-Range": `bytes ${start}-${end}/${body.length}` };
  return { status: 206, headers: range, body: body.subarray(Number(start), Number(end) + 1) };
};
const lacking: Answering = ({ path }) =>
  registryError(404, path.includes("/blobs/") ? "BLOB_UNKNOWN" : "MANIFEST_UNKNOWN", "not here");

beforeAll(async () => {
  const origins = await Promise.all([startFakeOrigin(), startFakeOrigin()]);
  all = origins;
  const urls = origins.map(({ url }) => url);
  world = await startWorld({ originUrls: urls });
  const [firstUrl] = await ranking(urls, NAME);
  const inOrder = origins.toSorted((a) => (a.url === firstUrl ? -1 : 1));
  [first, second] = inOrder as [FakeOrigin, FakeOrigin];
  image = await imageOf(await stockOf([NAME]), NAME);
  manifest = {
    status: 200,
    headers: {
      "Content-Type": image.manifest.mediaType,
      "Docker-Content-Digest": image.manifest.digest,
    },
    body: image.manifest.bytes,
  };
  const entries = [SMALL, LARGE].map(async (bytes) => [await digestOf(bytes), bytes] as const);
  blobs = new Map(await Promise.all(entries));
});
afterAll(() => Promise.all([world.close(), ...all.map((each) => each.stop())]));

/** A name that no other test has: of an isolate that knows nothing of the origins' health. */
let isolate = "";
let tests = 0;
beforeEach(async () => {
  isolate = `isolate-${tests++}`;
  for (const each of all) {
    await each.start();
    each.answering = honest;
    each.asked.length = 0;
  }
  world.log.length = 0;
});

const pull = (path: string, controls: Controls = {}, options: Pull = {}) =>
  world.pull(path, { ...options, controls: { isolate, ...controls } });
const askedOf = ({ asked }: FakeOrigin) => asked.map(({ method, path }) => `${method} ${path}`);
const events = () =>
  world.log
    .map((line) => JSON.parse(line))
    .flatMap(({ event, origin }) => (/^origin /.test(event) ? [`${event}: ${origin}`] : []));

describe("a miss", () => {
  test("meets those of every spelling, platform and kind at one origin", async () => {
    const repositories = [NAME, "iana-etc/git/git", "arm64/git"];
    const digests = [`manifests/${image.manifest.digest}`, `blobs/${await digestOf(SMALL)}`];
    const kinds = ["manifests/latest", "tags/list", ...digests];
    for (const repository of repositories) {
      for (const kind of kinds) {
        const response = await pull(`/v2/${repository}/${kind}`, { coldMemory: true });
        expect(response.status).toBe(200);
        await response.bytes();
      }
    }
    expect(first.asked).toHaveLength(kinds.length * repositories.length);
    expect(second.asked).toStrictEqual([]);
  });

  test("of other images is another's as often", async () => {
    const urls = ["https://a.example", "https://b.example", "https://c.example"];
    const names = Array.from({ length: 300 }, (_, index) => `package-${index}`);
    const of = (some: readonly string[]) =>
      Promise.all(names.map(async (name) => (await ranking(some, name))[0]));
    const among3 = await of(urls);
    for (const url of urls) {
      expect(among3.filter((each) => each === url).length).toBeGreaterThan(70);
    }
    // What is not of the one that went stays where it is.
    const among2 = await of(urls.slice(0, 2));
    const moved = among2.filter((url, index) => url !== among3[index]);
    expect(moved).toHaveLength(among3.filter((url) => url === urls[2]).length);
  });
});

describe("an origin that is stopped", () => {
  test("is another's turn, and passed over until a look behind an answer finds it again", async () => {
    await first.stop();
    const path = manifestPath(NAME, "latest");
    const at = async (nowMs: number) => {
      const response = await pull(path, { nowMs: NOW_MS + nowMs });
      expect(response.status).toBe(200);
      expect(await response.bytes()).toStrictEqual(image.manifest.bytes);
    };
    await at(0);
    await at(1);
    expect(askedOf(second)).toStrictEqual([`GET ${path}`, `GET ${path}`]);
    await at(5_000);
    await first.start();
    await at(9_999);
    expect(askedOf(first), "it is not time yet").toStrictEqual([]);
    await at(15_000);
    expect(askedOf(first), "a ping, and no client's request").toStrictEqual(["GET /v2/"]);
    await at(15_001);
    expect(askedOf(first)).toStrictEqual(["GET /v2/", `GET ${path}`]);
    expect(second.asked).toHaveLength(5);
    expect(events()).toStrictEqual([
      `origin passed over: ${first.url}`,
      `origin is back: ${first.url}`,
    ]);
  });

  test("and all others too is 503, and each is asked again", async () => {
    await Promise.all(all.map((each) => each.stop()));
    const response = await pull(manifestPath(NAME, "latest"));
    expect(response.status).toBe(503);
    expect(response.headers.get("Retry-After")).toMatch(/^\d+$/);
    expect((await errorOf(response)).message).toMatch(/the origin cannot be reached/);
    await second.start();
    expect((await pull(manifestPath(NAME, "latest"))).status).toBe(200);
  });

  test("is asked all the same where no other answers, before it is its time", async () => {
    await first.stop();
    expect((await pull(manifestPath(NAME, "latest"))).status).toBe(200);
    await Promise.all([first.start(), second.stop()]);
    expect((await pull(manifestPath(NAME, "latest"))).status).toBe(200);
    expect([first.asked.length, second.asked.length]).toStrictEqual([1, 1]);
  });

  test("in the middle of a build has it begun at another", async () => {
    const detail = [{ reason: "building", progress: null }];
    const soon = { "Retry-After": "0" };
    first.answering = (_asked, response) => {
      response.on("finish", () => void first.stop());
      return registryError(503, "UNAVAILABLE", "building 1 of 2", soon, detail);
    };
    const response = await pull(manifestPath(NAME, "latest"));
    expect(response.status).toBe(200);
    expect(await response.bytes()).toStrictEqual(image.manifest.bytes);
    expect([first.asked.length, second.asked.length]).toStrictEqual([1, 1]);
  });
});

test("an only origin is asked what is asked, and nothing to see whether it is there", async () => {
  const alone = await startWorld();
  await alone.origin.stop();
  expect((await alone.pull(manifestPath(NAME, "latest"))).status).toBe(503);
  await alone.origin.start();
  const controls = { nowMs: NOW_MS + 60_000 };
  expect((await alone.pull(manifestPath(NAME, "latest"), { controls })).status).toBe(404);
  expect(askedOf(alone.origin)).toStrictEqual([`GET ${manifestPath(NAME, "latest")}`]);
  await alone.close();
});

describe("an origin that hangs", () => {
  const paths = [manifestPath(NAME, "latest"), "/v2/git/tags/list", blobOf(LARGE_DIGEST)];
  test.for(paths)(
    "is waited for once for %s, and no longer than leaves time for another",
    async (path) => {
      first.answering = () => "by hand";
      const controls = { deadlineMs: 300, blobDeadlineMs: 300 };
      for (let times = 0; times < 2; times++) {
        const response = await pull(path, controls);
        expect(response.status).toBe(200);
        await response.bytes();
      }
      expect([first.asked.length, second.asked.length]).toStrictEqual([1, 2]);
      expect(events()).toStrictEqual([`origin passed over: ${first.url}`]);
    },
  );

  test("is told to answer within half a minute where there are others", async () => {
    await pull(manifestPath(NAME, "latest"), { deadlineMs: 120_000 });
    await pull(blobOf(await digestOf(SMALL)));
    expect(first.asked.map(({ headers }) => headers.prefer)).toStrictEqual(["wait=18", "wait=9"]);
  });

  test("is left alone by a client that leaves", async () => {
    const waiting = Promise.withResolvers<ServerResponse>();
    first.answering = (_asked, response) => {
      waiting.resolve(response);
      return "by hand";
    };
    const { hostname, port } = new URL(world.edge.url);
    const client = connect(Number(port), hostname);
    client.write(`GET ${manifestPath(NAME, "latest")} HTTP/1.1\r\nHost: registry\r\n\r\n`);
    const closed = once(await waiting.promise, "close");
    client.resetAndDestroy();
    await closed;
    first.answering = honest;
    await (await world.pull(blobOf(await digestOf(SMALL)))).bytes();
    expect([first.asked.length, second.asked.length]).toStrictEqual([2, 0]);
    expect(events()).toStrictEqual([]);
  });
});

const LIES: readonly (readonly [what: string, answering: Answering])[] = [
  ["redirects", () => ({ status: 302, headers: { Location: "https://elsewhere.example/" } })],
  ["is a proxy's page", () => ({ status: 502, body: "<html>Bad gateway</html>" })],
  ["answers a page with 404", () => ({ status: 404, body: "<html>Not found</html>" })],
  ["answers other bytes", () => ({ ...manifest, body: image.config.bytes })],
  ["names no digest", () => ({ ...manifest, headers: {} })],
  ["refuses the edge", () => registryError(401, "UNAUTHORIZED", "this origin answers its edge")],
];
describe("an origin that", () => {
  test.for(LIES)("%s is another's turn for a manifest by tag", async ([, answering]) => {
    first.answering = answering;
    const response = await pull(manifestPath(NAME, "latest"));
    expect(response.status).toBe(200);
    expect(await response.bytes()).toStrictEqual(image.manifest.bytes);
    expect(events()).toStrictEqual([`origin passed over: ${first.url}`]);
  });

  test("answers a blob with other bytes has it asked of another, before a small one goes out", async () => {
    first.answering = () => ({ status: 200, body: SMALL.toReversed() });
    const response = await pull(blobOf(await digestOf(SMALL)));
    expect(await response.bytes()).toStrictEqual(SMALL);
    expect(events()).toStrictEqual([`origin passed over: ${first.url}`]);
  });

  test("answers a large blob with other bytes never has it arrive whole, and not twice", async () => {
    first.answering = () => ({ status: 200, body: LARGE.toReversed() });
    const path = blobOf(LARGE_DIGEST);
    await expect((await pull(path)).bytes()).rejects.toThrow();
    expect(await (await pull(path)).bytes()).toStrictEqual(LARGE);
  });

  const hindered = [
    "host-failed",
    "cache-failed",
    "source-unreachable",
    "unreachable",
    "cancelled",
  ];
  test.for(hindered)("says of itself %s is another's turn, and stays trusted", async (reason) => {
    first.answering = () => registryError(503, "UNAVAILABLE", "no room", {}, [{ reason }]);
    for (let times = 0; times < 2; times++) {
      expect((await pull(manifestPath(NAME, "latest"))).status).toBe(200);
    }
    expect([first.asked.length, second.asked.length]).toStrictEqual([2, 2]);
    await second.stop();
    const response = await pull(manifestPath(NAME, "latest"));
    expect(response.status).toBe(503);
    expect((await errorOf(response)).message).toBe("no room");
  });

  const final = [
    [404, "MANIFEST_UNKNOWN", "unknown-package"],
    [503, "UNAVAILABLE", "timed-out"],
    [503, "UNAVAILABLE", "set-failed"],
  ] as const;
  test.for(final)("says %i %s, %s, has said it for all", async ([status, code, reason]) => {
    first.answering = () => registryError(status, code, "why", {}, [{ reason }]);
    expect((await pull(manifestPath(NAME, "latest"))).status).toBe(status);
    expect([first.asked.length, second.asked.length]).toStrictEqual([1, 0]);
  });
});

test("what an origin has begun to send when it dies, another goes on with, from where it was cut", async () => {
  const half = LARGE.length / 2;
  first.answering = (_asked, response) => {
    response.writeHead(200, { "Content-Length": LARGE.length });
    response.write(LARGE.subarray(0, half), () => void first.stop());
    return "by hand";
  };
  const path = blobOf(LARGE_DIGEST);
  const arrived: Uint8Array[] = [];
  const begun = await pull(path);
  const arriving = async () => {
    for await (const chunk of begun.body ?? []) arrived.push(chunk);
  };
  await expect(arriving()).rejects.toThrow();
  const offset = Buffer.concat(arrived).length;
  expect(offset).toBeLessThanOrEqual(half);
  const headers = { Range: `bytes=${offset}-${LARGE.length - 1}` };
  const rest = await pull(path, {}, { headers });
  expect(rest.status).toBe(206);
  const whole = Buffer.concat([...arrived, await rest.bytes()]);
  expect(Buffer.compare(whole, LARGE)).toBe(0);
});

describe("what one origin lacks", () => {
  const kinds = [
    ["a small blob", async () => blobOf(await digestOf(SMALL)), {}],
    ["a large blob", async () => blobOf(LARGE_DIGEST), {}],
    ["a blob by HEAD", async () => blobOf(await digestOf(SMALL)), { method: "HEAD" }],
    ["a part of a blob", async () => blobOf(LARGE_DIGEST), { headers: { Range: "bytes=10-19" } }],
    ["a manifest by digest", async () => manifestPath(NAME, image.manifest.digest), {}],
  ] as const;
  test.for(kinds)("another is asked for: %s", async ([, path, options]) => {
    first.answering = lacking;
    const response = await pull(await path(), {}, options);
    const expected = "headers" in options ? 206 : 200;
    expect(response.status).toBe(expected);
    await response.bytes();
    expect(events()).toStrictEqual([]);
  });

  test.for([blobPath(ABSENT), manifestPath(NAME, ABSENT)])(
    "is nowhere once all have said so: %s",
    async (path) => {
      for (const each of all) each.answering = lacking;
      const response = await pull(path);
      expect(response.status).toBe(404);
      expect((await errorOf(response)).message).toBe("not here");
      expect([first.asked.length, second.asked.length]).not.toContain(0);
    },
  );

  test.for([blobOf(ABSENT), manifestPath(NAME, ABSENT)])(
    "may be with another while that one cannot be asked: %s",
    async (path) => {
      first.answering = lacking;
      await second.stop();
      for (let times = 0; times < 2; times++) {
        const response = await pull(path);
        expect(response.status).toBe(503);
        const { code, message } = await errorOf(response);
        expect(code).toBe("UNAVAILABLE");
        expect(message).toBe("not here, and not every origin can be asked for it; try again");
      }
      await second.start();
      second.answering = lacking;
      expect((await pull(path)).status).toBe(404);
    },
  );
});
