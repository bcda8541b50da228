// What happens around a build that takes its time: joined, left, held, queued, limited. Real Nix and
// real connections; builders wait until the test lets them go on.

import { once } from "node:events";
import { readdir } from "node:fs/promises";
import { get } from "node:http";
import { connect } from "node:net";
import { join } from "node:path";
import { assert, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import type { EnvironmentVariables } from "../../../origin/configuration/config.ts";
import { CLIENT_HEADER, signRequest } from "../../../registry/between/token.ts";
import type { StillBuilding } from "../../../registry/http/building.ts";
import { READS_ZSTD } from "../../registry/fixture.ts";
import { skipWhere } from "../../skip-where.ts";
import { type Ending, temporaryDirectory } from "../fixture.ts";
import { type House, REPOSITORY_PREFIX, startHouse } from "../house.ts";
import { hidesHost } from "../nix/sandbox-shell.ts";
import { type GatedSet, isRunning, plantGatedSet, processesNaming, until } from "./gated-set.ts";

const gated = { timeout: 60_000, ...skipWhere(hidesHost) };
/** What the project promises of the end of a build that nobody wants. */
const LEFT_LIMIT_MS = 2000;
let set: GatedSet;

beforeEach(async () => {
  set = await plantGatedSet(onTestFinished);
});

async function fresh(onEnd: Ending, variables: EnvironmentVariables = {}): Promise<House> {
  return startHouse(onEnd, set.path, await temporaryDirectory(onEnd), variables);
}

const pathOf = (name: string) => `/v2/${REPOSITORY_PREFIX}${name}/manifests/latest`;
const realised = (house: House) => house.started.filter((each) => /--realise/.test(each)).length;

interface Refusal {
  readonly status: number;
  readonly retryAfter: string | null;
  readonly code: string;
  readonly message: string;
  readonly detail: unknown;
}

async function refusal(asked: Promise<Response>): Promise<Refusal> {
  const response = await asked;
  const body = (await response.json()) as {
    errors: [{ code: string; message: string; detail: unknown }];
  };
  const retryAfter = response.headers.get("Retry-After");
  return { status: response.status, retryAfter, ...body.errors[0] };
}

/** A pull that can be left. */
function pullToLeave(house: House, name: string, headers: Readonly<Record<string, string>> = {}) {
  const client = new AbortController();
  const ended = house
    .request(pathOf(name), { signal: client.signal, headers })
    .then(({ status }) => status)
    .catch(() => "left" as const);
  return { ended, leave: () => client.abort() };
}

/** How many pulls have ended well when nobody was held for them any more. */
function madeLate({ lines }: House): number {
  return lines.filter(({ msg, outcome }) => /^built after/.test(msg) && outcome === "image").length;
}

async function assertNothingLeft(house: House, builder: readonly number[]): Promise<void> {
  const isOver = async () =>
    (await Promise.all(builder.map(isRunning))).every((runs) => !runs) &&
    (await processesNaming(house.statePath)).length === 0;
  await until("Nix and its builders have ended", isOver, LEFT_LIMIT_MS);
  const roots = join(house.statePath, "gcroots");
  await until("the roots are gone", async () => (await readdir(roots)).length === 0);
}

describe("a build", gated, () => {
  test("that twenty clients ask for at once is started once", async () => {
    const house = await fresh(onTestFinished);
    const pulls = Array.from({ length: 20 }, (_, index) =>
      house.pull(index % 2 === 0 ? "one/two" : "two/one"),
    );
    await Promise.all([set.running("one"), set.running("two")]);
    await Promise.all([set.open("one"), set.open("two")]);
    const digests = new Set((await Promise.all(pulls)).map(({ digest }) => digest));
    expect(digests.size).toBe(1);
    expect(realised(house)).toBe(1);
    expect(await set.starts("one")).toBe(1);
  });

  test("goes on however its clients leave, and is there for the next pull", async () => {
    const house = await fresh(onTestFinished);
    for (const [count, end] of (["destroy", "end", "resetAndDestroy"] as const).entries()) {
      const { hostname, port } = new URL(house.origin.url);
      const socket = connect(Number(port), hostname);
      await once(socket, "connect");
      const agent = `User-Agent: ${READS_ZSTD}`;
      socket.write(`GET ${pathOf("one")} HTTP/1.1\r\nHost: registry\r\n${agent}\r\n\r\n`);
      await set.running("one");
      socket[end]();
      const left = () => house.lines.filter(({ answer }) => answer === "left").length;
      await until("the client is gone", () => left() === count + 1);
      socket.destroy();
    }
    expect(house.lines.some(({ msg }) => msg === "a request failed")).toBe(false);
    await set.open("one");
    await until("it is made for all of them", () => madeLate(house) === 3);
    house.forget();
    await house.pull("one");
    expect([await set.starts("one"), house.started]).toStrictEqual([1, []]);
  });

  test("that nobody waits for gives way to one that needs its place", async () => {
    const house = await fresh(onTestFinished, { NIXPORT_MAX_BUILDS: "1", NIXPORT_MAX_QUEUE: "0" });
    // Has what is in every image made, which the next two would share, and wait for together.
    await house.pull("large");
    const pull = pullToLeave(house, "one");
    const builder = await set.running("one");
    pull.leave();
    await pull.ended;
    await until("the client is gone", () => house.pending() === 0);
    const other = house.pull("two");
    await set.running("two");
    expect((await Promise.all(builder.map(isRunning))).some(Boolean)).toBe(false);
    expect(house.lines.some(({ msg }) => msg === "gave way to what is waited for")).toBe(true);
    await set.open("two");
    await other;
    await assertNothingLeft(house, builder);

    // It was no failure: whoever asks again has it begun anew.
    const again = house.pull("one");
    await set.running("one");
    await set.open("one");
    await again;
    expect(await set.starts("one")).toBe(2);
  });

  test("that others wait for goes on when one of them leaves", async () => {
    const house = await fresh(onTestFinished);
    await house.pull("large");
    house.forget();
    const leaver = pullToLeave(house, "one/two");
    const [one, two] = [await set.running("one"), await set.running("two")];
    const stayed = house.pull("one");
    await until("the other has asked too", () => house.pending() === 2);
    // Goes the other's way behind it, so that the other waits for the build when this one is through.
    await house.pull("large");
    leaver.leave();
    await leaver.ended;
    await until("the leaver is gone", () => house.pending() === 1);
    expect((await Promise.all([...one, ...two].map(isRunning))).every(Boolean)).toBe(true);
    await set.open("one");
    await set.open("two");
    await stayed;
    expect(realised(house)).toBe(1);
  });

  test("whose client has only asked for it to be made goes on without it", async () => {
    const house = await fresh(onTestFinished);
    const pull = pullToLeave(house, "one", { Prefer: "respond-async, wait=10" });
    const builder = await set.running("one");
    pull.leave();
    await pull.ended;
    await set.open("one");
    await until("its builder has ended", async () => !(await isRunning(builder[0] ?? 0)));
    await house.pull("one");
    expect(await set.starts("one")).toBe(1);
  });

  test("that a going origin gives up leaves nothing behind", async () => {
    const house = await fresh(onTestFinished);
    const answered = refusal(house.request(pathOf("one")));
    const builder = await set.running("one");
    await house.origin.close();
    await assertNothingLeft(house, builder);
    expect((await answered).message).toMatch(/going down/);
  });
});

describe("a slow build", gated, () => {
  test("is answered with 503, how far it is and when to ask again, and goes on", async () => {
    const house = await fresh(onTestFinished, { NIXPORT_HOLD: "1" });
    const refused = await refusal(house.request(pathOf("one/two")));
    expect(refused.status).toBe(503);
    expect(refused.code).toBe("UNAVAILABLE");
    expect(refused.retryAfter).toBe("1");
    expect(refused.message).toMatch(/^not ready yet: building \d of \d: .*(one|two)-1\.0/);
    const [{ reason, progress }] = refused.detail as [StillBuilding];
    expect(reason).toBe("building");
    assert(progress !== null && progress.builds.running.length > 0);

    // The client that was answered is gone, and joins what goes on when it comes back.
    const [builder = 0] = await set.running("one");
    const again = house.request(pathOf("one/two"));
    await set.open("one");
    await set.open("two");
    let response = await again;
    // A busy machine may need longer than a second for the rest.
    while (response.status === 503) response = await house.request(pathOf("one/two"));
    expect(response.status).toBe(200);
    expect(await isRunning(builder)).toBe(false);
    expect(realised(house)).toBe(1);
    expect(await set.starts("one")).toBe(1);
  });

  test("is answered within the time that a request gives it, and goes on", async () => {
    const house = await fresh(onTestFinished);
    const headers = { Prefer: "wait=1" };
    const { status, message } = await refusal(house.request(pathOf("one"), { headers }));
    expect([status, message]).toStrictEqual([503, expect.stringMatching(/^not ready yet/)]);
    const [builder = 0] = await set.running("one");
    expect(await isRunning(builder)).toBe(true);
    await set.open("one");
    await house.pull("one");
    expect(await set.starts("one")).toBe(1);
  });

  test("that ends after its answer is there for the next pull", async () => {
    const house = await fresh(onTestFinished, { NIXPORT_HOLD: "1" });
    expect((await refusal(house.request(pathOf("one")))).status).toBe(503);
    await set.open("one");
    await until("it is made", () => madeLate(house) === 1);
    house.forget();
    await house.pull("one");
    expect(house.started).toStrictEqual([]);
  });

  test("of a builder beyond its time is an error that says so", async () => {
    const house = await fresh(onTestFinished, { NIX_TIMEOUT: "1" });
    const { status, code, message } = await refusal(house.request(pathOf("sleeper")));
    expect(status).toBe(404);
    expect(code).toBe("MANIFEST_UNKNOWN");
    expect(message).toMatch(/after 1 s/);
    await assertNothingLeft(house, []);
  });

  test("beyond the deadline of all builds is an error that says so", async () => {
    const house = await fresh(onTestFinished, { NIXPORT_BUILD_DEADLINE: "2" });
    const answered = refusal(house.request(pathOf("one")));
    const builder = await set.running("one");
    const { status, message } = await answered;
    expect(status).toBe(503);
    expect(message).toMatch(/after 2 s/);
    await assertNothingLeft(house, builder);
  });
});

describe("builds beyond the limits", gated, () => {
  test("wait for their turn, and are refused with 429 where too many wait", async () => {
    const house = await fresh(onTestFinished, { NIXPORT_MAX_BUILDS: "1", NIXPORT_MAX_QUEUE: "1" });
    await house.pull("large");
    const first = house.pull("one");
    await set.running("one");
    const second = house.pull("two");
    await until("the second is in the queue", () => toRealise(house) === 3);
    // Held before it is told, for as long as it says that it waits.
    const brief = { headers: { Prefer: "wait=1" } };
    const refused = await refusal(house.request(pathOf("three"), brief));
    expect(refused.status).toBe(429);
    expect(refused.code).toBe("TOOMANYREQUESTS");
    expect(refused.message).toMatch(/1 wait already/);
    expect(refused.retryAfter).toBe("30");
    expect(await set.starts("two")).toBe(0);
    await set.open("one");
    await first;
    await set.running("two");
    await set.open("two");
    await second;
    // What was refused was no failure.
    const third = house.pull("three");
    await set.running("three");
    await set.open("three");
    await third;
  });

  test("are begun within the time for which their clients wait, where there was no room", async () => {
    const house = await fresh(onTestFinished, { NIXPORT_MAX_BUILDS: "1", NIXPORT_MAX_QUEUE: "0" });
    await house.pull("large");
    const first = house.pull("one");
    await set.running("one");
    const second = house.pull("two");
    await until("the second was refused", () => toRealise(house) === 3);
    await set.open("one");
    await set.open("two");
    await Promise.all([first, second]);
    expect([await set.starts("one"), await set.starts("two")]).toStrictEqual([1, 1]);
  });

  test("leave a full queue to others when their clients have left", async () => {
    const house = await fresh(onTestFinished, { NIXPORT_MAX_BUILDS: "1", NIXPORT_MAX_QUEUE: "1" });
    const first = house.pull("one");
    await set.running("one");
    const leaver = pullToLeave(house, "two");
    await until("the second is in the queue", () => toRealise(house) === 2);
    leaver.leave();
    await leaver.ended;
    await until("the second has left", () => house.pending() === 1);
    const third = house.pull("three");
    // Until then nobody needs the slot, and the one that was left would have it.
    await until("the third is in the queue", () => toRealise(house) === 3);
    await set.open("one");
    await first;
    await set.running("three");
    await set.open("three");
    await third;
    expect(await set.starts("two")).toBe(0);
  });

  test("of packages with too large a closure say how large it is", async () => {
    const house = await fresh(onTestFinished, { NIXPORT_MAX_CLOSURE_BYTES: "2000000" });
    const { status, code, message } = await refusal(house.request(pathOf("large")));
    expect(status).toBe(404);
    expect(code).toBe("MANIFEST_UNKNOWN");
    expect(message).toMatch(/take 0\.003 GB .* packs 0\.002 GB/);
    expect(house.packed()).toStrictEqual([]);
  });
});

describe("a client that asks for more than there is room for", gated, () => {
  const SECRET = "the secret of the tests";
  const keys = [{ id: "1", bytes: new TextEncoder().encode(SECRET) }];
  type Pulling = (house: House, name: string) => Promise<number>;

  const byAddress: Pulling = async ({ origin }, name) => {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    get(`${origin.url}${pathOf(name)}`, { localAddress: "127.0.0.2" }, (response) => {
      response.resume();
      response.on("end", () => resolve(response.statusCode ?? 0));
    }).on("error", reject);
    return promise;
  };
  const byNetwork: Pulling = async (house, name) => {
    const client = "192.0.2.7";
    const signed = { method: "GET", path: pathOf(name), client };
    const token = await signRequest(keys, "edge", signed, Date.now());
    const headers = { Authorization: `Bearer ${token}`, [CLIENT_HEADER]: client };
    const response = await house.request(pathOf(name), { headers });
    await response.bytes();
    return response.status;
  };

  test.each([
    ["another address", byAddress],
    ["another network behind the edge", byNetwork],
  ] as const)("keeps no place from one of %s, whose turn is next", async (_, pullAsOther) => {
    const house = await fresh(onTestFinished, {
      ...{ NIXPORT_SECRET: SECRET, NIXPORT_MAX_BUILDS: "1", NIXPORT_MAX_QUEUE: "2" },
    });
    await house.pull("large");
    const pulls = [house.pull("one")];
    await set.running("one");
    for (const [place, name] of (["two", "three"] as const).entries()) {
      pulls.push(house.pull(name));
      await until(`${name} is in the queue`, () => toRealise(house) === 3 + place);
    }
    const other = pullAsOther(house, "four");
    await until("the other has asked", () => toRealise(house) > 4);
    await set.open("one");
    await set.running("four");
    expect([await set.starts("two"), await set.starts("three")]).toStrictEqual([0, 0]);
    // Who made room is held, and has its turn all the same.
    for (const name of ["two", "three", "four"] as const) await set.open(name);
    expect(await other).toBe(200);
    await Promise.all(pulls);
  });
});

function toRealise(house: House): number {
  return house.lines.filter(({ msg }) => msg === "to realise").length;
}
