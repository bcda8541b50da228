// An edge whose environment is wrong says so, and goes on with what it can do.

import { expect, test } from "vitest";
import { startFakeOrigin } from "../fake-origin.ts";
import { manifestPath, startWorld } from "../world.ts";

test.for(["", "origin.example", "http://127.0.0.1:1/below"])(
  "says that %j is no origin, and that its secret is none",
  async (originUrl) => {
    const world = await startWorld({ originUrl, secret: "short" });
    try {
      expect((await world.pull("/v2/")).status).toBe(200);
      expect((await world.pull(manifestPath("git", "latest"))).status).toBe(503);
      expect((await world.push("POST", "/ingest/records", { records: [] })).status).toBe(401);
    } finally {
      await world.close();
    }
    const lines = world.log.map((line) => JSON.parse(line));
    const told = lines.filter(({ event }) => event === "misconfigured");
    expect(told, "of three requests").toHaveLength(1);
    expect(told[0].problem).toMatch(
      /^ORIGIN_URL: not like https:.*; NIXPORT_SECRET: every key needs/,
    );
    const failed = lines.find(({ event }) => event === "not answered");
    expect([failed.level, failed.code]).toStrictEqual(["warn", "UNAVAILABLE"]);
    expect(failed.cause.message).toMatch(/ORIGIN_URL names no origin/);
  },
);

test("asks those of several origins that are some, and says that others are none", async () => {
  const origin = await startFakeOrigin();
  const originUrls = ["origin.example", ` ${origin.url}/`, origin.url, "http://127.0.0.1:1/below"];
  const world = await startWorld({ originUrls });
  try {
    expect((await world.pull(manifestPath("git", "latest"))).status).toBe(404);
    expect(origin.asked).toHaveLength(1);
    expect(world.origin.asked, "of the one that counts without them").toHaveLength(0);
  } finally {
    await Promise.all([world.close(), origin.stop()]);
  }
  const told = world.log.map((line) => JSON.parse(line)).find(({ problem }) => problem);
  expect(told.problem).toMatch(/^ORIGIN_URLS: not like https:\S+, without a path$/);
});
