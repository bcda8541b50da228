// An index on its way from a running origin to a running edge: what the edge then answers by itself when the
// tag moves and the origin is gone.

import { setTimeout } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { endOfFile } from "../origin/fixture.ts";
import { type NumberedSet, plantNumberedSet } from "../origin/refresh/numbered-set.ts";
import { get, pullManifest } from "./clients.ts";
import { type Deployment, deploy, type LogLine, type Part } from "./deployment.ts";

const COUNT = 12;
const MOVED_DEADLINE_MS = 60_000;

const atEnd = endOfFile();
let set: NumberedSet;
let deployment: Deployment;
let origin: Part;

const ofImages = ({ msg, recipe }: LogLine) => msg === "backfilled" && recipe !== undefined;
const indexAt = (pin: string) => (line: LogLine) =>
  line.msg === "backfilled" && line.system !== undefined && line.pin === pin;

beforeAll(async () => {
  set = await plantNumberedSet(atEnd, COUNT);
  const first = await set.commit();
  deployment = await deploy({
    env: {
      NIXERY_PKGS_REPO: `file://${set.path}`,
      ...{ NIXPORT_INDEX: "on", NIXPORT_PIN_FRESH: "1", PIN_FRESH_SECONDS: "3600" },
      // No image is made at the next revision but by whoever pulls it.
      NIXPORT_TRACK_DAYS: "0",
    },
  });
  [origin] = await Promise.all([deployment.startOrigin(), deployment.startEdge()]);
  for (const image of ["p1", "p2"]) await pullManifest(deployment.edgeUrl, image);
  await origin.waitFor(() => origin.log.filter(ofImages).length >= 2);
  await origin.waitFor(indexAt(first));
});

afterAll(() => deployment?.close());

describe("an edge that was given the index of a revision", () => {
  test("answers by it what nobody has asked at that revision, without the origin", async () => {
    const moved = await set.commit({ p7: "changed" });
    const deadline = AbortSignal.timeout(MOVED_DEADLINE_MS);
    while (!origin.log.some(indexAt(moved))) {
      await pullManifest(deployment.originUrl, "p3");
      await setTimeout(200, undefined, { signal: deadline });
    }
    await origin.stop();

    const composed = await pullManifest(deployment.edgeUrl, "p2/p1");
    expect(composed.headers.get("nixport-pin")).toBe(moved);
    expect(composed.headers.get("cache-status")).toMatch(/detail=composed/);
    const missing = await get(deployment.edgeUrl, "/v2/pp11/manifests/latest");
    expect(missing.status).toBe(404);
    expect(await missing.text()).toContain("p11");
    // Its outputs are others, of which the edge has no record.
    expect((await get(deployment.edgeUrl, "/v2/p7/manifests/latest")).status).toBe(503);
  });
});
