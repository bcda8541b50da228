// Edge and origin sign by their clocks, and take what is a minute or two apart. While one is five minutes
// wrong there is nothing new: what the edge has goes on, and nothing is lost of the rest.

import { describe, expect, onTestFinished, test } from "vitest";
import { type RunningEdge, startEdge } from "../../origin/command/workerd.ts";
import { freePort } from "../free-port.ts";
import { temporaryDirectory } from "../origin/fixture.ts";
import { type House, plantSet, REPOSITORY_PREFIX, startHouse } from "../origin/house.ts";
import { until } from "../origin/images/gated-set.ts";
import { hidesHost } from "../origin/nix/sandbox-shell.ts";
import { skipWhere } from "../skip-where.ts";
import { get, missingBlobs, pullManifest } from "./clients.ts";

const SECRET = "a secret of these tests";
const SKEW_MS = 5 * 60_000;
const nameOf = (name: string) => `${REPOSITORY_PREFIX}${name}`;

let house: House;
let edge: RunningEdge;

async function start(access: "anyone" | "edge"): Promise<void> {
  const [setPath, statePath] = [
    await plantSet(onTestFinished),
    await temporaryDirectory(onTestFinished),
  ];
  const port = await freePort();
  house = await startHouse(onTestFinished, setPath, statePath, {
    NIXPORT_SECRET: SECRET,
    NIXPORT_ACCESS: access,
    NIXPORT_EDGE_URL: `http://127.0.0.1:${port}`,
  });
  const originUrl = house.origin.url;
  edge = await startEdge({ port, statePath, originUrl, secret: SECRET, onLog: () => {} });
  onTestFinished(() => edge.close());
}

const said = (msg: string) => house.lines.filter((line) => line.msg === msg).length;

describe("an origin whose clock is wrong", skipWhere(hidesHost), () => {
  test.for([
    ["five minutes ahead", SKEW_MS],
    ["five minutes behind", -SKEW_MS],
  ] as const)("by %s keeps nobody from what is known, and loses nothing", async ([, skewMs]) => {
    await start("edge");
    const known = await pullManifest(edge.url, nameOf("hello"));
    await until("the edge has it", () => said("backfilled") === 1);

    house.pass(skewMs);
    const again = await pullManifest(edge.url, nameOf("hello"));
    expect(again.digest).toBe(known.digest);
    expect(await missingBlobs(edge.url, again)).toStrictEqual([]);
    const refused = await get(edge.url, `/v2/${nameOf("hullo")}/manifests/latest`);
    expect(refused.status).toBe(503);
    expect(Number(refused.headers.get("Retry-After"))).toBeGreaterThan(0);
    expect(await refused.json()).toMatchObject({ errors: [{ code: "UNAVAILABLE" }] });

    house.pass(-skewMs);
    const fresh = await pullManifest(edge.url, nameOf("hullo"));
    await until("the edge has that too", () => said("backfilled") === 2);
    await house.origin.close();
    const kept = await pullManifest(edge.url, nameOf("hullo"));
    expect(kept.digest).toBe(fresh.digest);
    expect(await missingBlobs(edge.url, kept)).toStrictEqual([]);
  });

  test("gives its edge what it has made meanwhile, when the clock is right", async () => {
    await start("anyone");
    house.pass(SKEW_MS);
    await pullManifest(house.origin.url, nameOf("hello"));
    await until("the edge refuses it", () => said("backfill waits") > 0);
    expect(said("backfilled")).toBe(0);
    house.pass(-SKEW_MS);
    await until("the edge has it", () => said("backfilled") === 1);
  });
});
