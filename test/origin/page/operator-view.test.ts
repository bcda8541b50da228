// What an origin by itself tells its operators, and whom it takes for one.

import { assert, beforeAll, describe, expect, test } from "vitest";
import { isLocalClient } from "../../../origin/access/local-client.ts";
import { buildPage } from "../../../page/build.ts";
import { type OperatorView, parseOperatorView } from "../../../registry/http/operator-view.ts";
import { plantFailingSet } from "../failing-set.ts";
import { endOfFile, temporaryDirectory } from "../fixture.ts";
import { type House, plantSet, REPOSITORY_PREFIX, startHouse } from "../house.ts";

const atEnd = endOfFile();
const LOCAL = { NIXPORT_OPERATOR_VIEW: "local" };
let house: House;
beforeAll(async () => {
  await buildPage();
  house = await startHouse(atEnd, await plantSet(atEnd), await temporaryDirectory(atEnd), LOCAL);
});

async function viewOf(at: House): Promise<OperatorView> {
  const response = await at.request("/api/operator");
  expect([response.status, response.headers.get("Cache-Control")]).toStrictEqual([200, "no-store"]);
  const view = parseOperatorView(await response.json());
  assert(view !== undefined);
  return view;
}

describe("operators are told", () => {
  test("what was built, and of what was there already no more", async () => {
    expect(await viewOf(house)).toMatchObject({ builds: [], failures: [], outbox: null });
    await house.pull("hello");
    const [hello, ...others] = (await viewOf(house)).builds;
    expect(others).toStrictEqual([]);
    expect(hello?.image).toBe(`${REPOSITORY_PREFIX}hello`);
    expect(hello?.newBytes).toBeGreaterThan(1000);
    await house.pull("hello");
    const { builds, queues, underWay, nixStore } = await viewOf(house);
    expect(builds).toStrictEqual([hello]);
    expect(underWay).toStrictEqual([]);
    expect(queues).toMatchObject([
      { name: "evaluations", running: 0, waiting: 0, mayWait: 100 },
      { name: "builds", running: 0, atOnce: 4, waiting: 0, mayWait: 100 },
    ]);
    expect(nixStore?.freeBytes).toBeGreaterThan(0);
  });

  test("what the storage holds, once it was counted", async () => {
    await house.pull("hullo");
    const layers = async () =>
      (await viewOf(house)).storage?.collections.find(({ name }) => name === "layers");
    await expect.poll(layers, { timeout: 10_000 }).toBeDefined();
    expect((await layers())?.bytes).toBeGreaterThan(0);
  });

  test("what failed, and why, on the page as well", async () => {
    const set = await plantFailingSet(atEnd);
    const other = await startHouse(atEnd, set, await temporaryDirectory(atEnd), LOCAL);
    const name = `${REPOSITORY_PREFIX}failing`;
    const pulled = await other.request(`/v2/${name}/manifests/latest`);
    const { errors } = (await pulled.json()) as { errors: [{ message: string }] };
    const [failed] = (await viewOf(other)).failures;
    expect(failed).toMatchObject({ image: name, message: errors[0].message });
    const page = await other.request("/operator");
    expect([page.status, page.headers.get("Cache-Control")]).toStrictEqual([200, "no-store"]);
    expect(await page.text()).toContain(`/i/${name}`);
  });
});

test("where nothing is configured there is no such page", async () => {
  const set = await plantSet(atEnd);
  const other = await startHouse(atEnd, set, await temporaryDirectory(atEnd));
  const statusOf = async (path: string, at = other, headers = {}) =>
    (await at.request(path, { headers })).status;
  for (const path of ["/operator", "/api/operator"]) {
    expect(await statusOf(path), path).toBe(404);
    // A proxy on this machine passes on what anybody may have asked for.
    expect(await statusOf(path, house, { "X-Forwarded-For": "192.0.2.1" }), path).toBe(404);
    expect(await statusOf(path, house, { Authorization: "Bearer x" }), path).toBe(200);
  }
});

test("an origin that answers its edge alone tells its own machine what it is told to tell, and no more", async () => {
  const variables = { NIXPORT_ACCESS: "edge", NIXPORT_SECRET: "the secret of this test" };
  const set = await plantSet(atEnd);
  for (const [also, status] of [
    [{}, 404],
    [LOCAL, 200],
  ] as const) {
    const statePath = await temporaryDirectory(atEnd);
    const other = await startHouse(atEnd, set, statePath, { ...variables, ...also });
    expect((await other.request("/api/operator")).status).toBe(status);
    expect((await other.request("/api/index")).status).toBe(401);
  }
});

test.for([
  ["http://127.0.0.1:8788/operator", "127.0.0.1", {}, true],
  ["http://localhost:8788/operator", "::1", {}, true],
  ["http://[::1]:8788/operator", "::ffff:127.0.0.1", {}, true],
  ["http://127.0.0.1:8788/operator", "192.0.2.1", {}, false],
  ["http://127.0.0.1:8788/operator", undefined, {}, false],
  // A page of another host whose name leads here.
  ["http://evil.example.org:8788/operator", "127.0.0.1", {}, false],
  ["http://127.0.0.1.example.org/operator", "127.0.0.1", {}, false],
  ["http://127.0.0.1:8788/operator", "127.0.0.1", { Forwarded: "for=192.0.2.1" }, false],
  ["http://127.0.0.1:8788/operator", "127.0.0.1", { "CF-Connecting-IP": "192.0.2.1" }, false],
] as const)(
  "a client of %s from %s with %o is one of this machine: %s",
  ([url, address, headers, isLocal]) => {
    expect(isLocalClient({ url, headers: new Headers(headers) }, address)).toBe(isLocal);
  },
);
