// An edge whose environment is wrong says so, and goes on with what it can do.

import assert from "node:assert/strict";
import { test } from "node:test";
import { manifestPath, startWorld } from "../world.ts";

for (const originUrl of ["", "origin.example", "http://127.0.0.1:1/below"]) {
  test(`says that ${JSON.stringify(originUrl)} is no origin, and that its secret is none`, async () => {
    const world = await startWorld({ originUrl, secret: "short" });
    try {
      assert.equal((await world.pull("/v2/")).status, 200);
      assert.equal((await world.pull(manifestPath("git", "latest"))).status, 503);
      assert.equal((await world.push("POST", "/ingest/records", { records: [] })).status, 401);
    } finally {
      await world.close();
    }
    const lines = world.log.map((line) => JSON.parse(line));
    const told = lines.filter(({ event }) => event === "misconfigured");
    assert.equal(told.length, 1, "of three requests");
    assert.match(
      told[0].problem,
      /^ORIGIN_URL: not like https:.*; NIXPORT_SECRET: every key needs/,
    );
    const failed = lines.find(({ event }) => event === "not answered");
    assert.deepEqual([failed.level, failed.code], ["warn", "UNAVAILABLE"]);
    assert.match(failed.cause.message, /ORIGIN_URL names no origin/);
  });
}
