// An edge whose environment is wrong says so, and goes on with what it can do.

import { expect, test } from "vitest";
import { ingestPath } from "../../../registry/http/route.ts";
import { digestOf } from "../../../registry/naming/digest.ts";
import { startFakeOrigin } from "../fake-origin.ts";
import { blobPath, manifestPath, startWorld } from "../world.ts";

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

const OPEN = '{"rules":[{"who":"everyone","allow":{"names":"*"}}]}';
test.for<readonly [blobsUrl: string, policy?: string]>([
  ["blobs.example.org"],
  ["ftp://blobs.example.org"],
  ["https://me@blobs.example.org"],
  ["https://blobs.example.org/?a=b"],
  // Where rights are asked for at all, the bucket would give without.
  ["https://blobs.example.org", OPEN],
])("says that %j is no address for blobs, and sends nobody there", async ([blobsUrl, policy]) => {
  const world = await startWorld({ blobsUrl, ...(policy !== undefined && { policy }) });
  try {
    const bytes = new TextEncoder().encode("a blob");
    const digest = await digestOf(bytes);
    await world.push("PUT", ingestPath.blob(digest), bytes);
    expect((await world.pull(blobPath(digest))).status).toBe(200);
  } finally {
    await world.close();
  }
  expect(world.log.join()).toMatch(/BLOBS_URL: not (?:like https:|used with)/);
});
