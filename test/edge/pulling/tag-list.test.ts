// Tag lists at the edge: of names whose packages are known here, and of others.

import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { pinOf } from "../../registry/fixture.ts";
import { registryError } from "../fake-origin.ts";
import { stockOf } from "../stock.ts";
import { cacheStatus, errorOf, startWorld, type World } from "../world.ts";

const PIN = pinOf("b".repeat(40));

describe("GET /v2/<name>/tags/list", () => {
  let world: World;
  beforeAll(async () => {
    world = await startWorld();
    await world.backfill(await stockOf(["git", "htop"]), { tag: "latest", pin: PIN });
  });
  beforeEach(() => world.origin.start());
  afterAll(() => world.close());

  test.each(["git", "git/htop", "amd64/htop"])("lists %s without the origin", async (name) => {
    await world.origin.stop();
    const response = await world.pull(`/v2/${name}/tags/list`);
    expect(response.status).toBe(200);
    expect(cacheStatus(response)).toBe("nixport; hit; detail=kv");
    expect(await response.json()).toStrictEqual({ name, tags: ["latest"] });
    const head = await world.pull(`/v2/${name}/tags/list`, { method: "HEAD" });
    expect(head.status).toBe(200);
    expect(head.headers.get("Content-Length")).not.toBe("0");
  });

  test("asks the origin of a name that is not known here, and keeps nothing of it", async () => {
    world.origin.answering = ({ path }) =>
      path === "/v2/git/jq/tags/list"
        ? { status: 200, body: '{"tags":["of the origin"]}' }
        : undefined;
    for (const _ of [1, 2]) {
      const response = await world.pull("/v2/git/jq/tags/list?n=5");
      expect(cacheStatus(response)).toBe("nixport; fwd=miss");
      expect(await response.json()).toStrictEqual({ name: "git/jq", tags: ["latest"] });
    }
    const [asked] = world.origin.asked;
    expect(asked?.headers["nixport-platforms"]).toBe("linux/amd64");
    expect(asked?.headers.authorization ?? "").toMatch(/^Bearer /);
  });

  test.each([
    [
      "is the origin's 404 for what is no package",
      registryError(404, "NAME_UNKNOWN", "no gti"),
      404,
    ],
    ["is 503 where the origin cannot say", registryError(503, "UNAVAILABLE", "no source"), 503],
    ["is 503 where what it says counts for nothing", { status: 404, body: "<html>" }, 503],
  ] as const)("%s", async (_, told, status) => {
    world.origin.answering = () => told;
    const response = await world.pull("/v2/gti/tags/list");
    expect(response.status).toBe(status);
    const { code } = await errorOf(response);
    expect(code).toBe(status === 404 ? "NAME_UNKNOWN" : "UNAVAILABLE");
  });

  test("is 503 without the origin for what is not known here", async () => {
    await world.origin.stop();
    expect((await world.pull("/v2/gti/tags/list")).status).toBe(503);
  });
});
