// Slow builds as users have them: through the edge and the origin as processes of their own, with
// builders that wait until the test lets them go on.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import type { Ending } from "../origin/fixture.ts";
import { REPOSITORY_PREFIX } from "../origin/house.ts";
import { type GatedSet, isRunning, plantGatedSet, until } from "../origin/images/gated-set.ts";
import { hidesHost } from "../origin/nix/sandbox-shell.ts";
import { skipWhere } from "../skip-where.ts";
import { missingBlobs, missingClient, pullManifest, pullWhenMade } from "./clients.ts";
import { type Deployment, deploy, type Part } from "./deployment.ts";

const limit = { timeout: 120_000 };
/** What the project promises of the end of a build that nobody wants. */
const LEFT_LIMIT_MS = 2000;
let set: GatedSet;

beforeEach(async () => {
  set = await plantGatedSet(onTestFinished);
});

interface Running {
  readonly deployment: Deployment;
  readonly origin: Part;
}

async function start(onEnd: Ending, env: Readonly<Record<string, string>> = {}): Promise<Running> {
  const deployment = await deploy({
    packages: set.path,
    env: { NIXPORT_LOG_LEVEL: "debug", ...env },
  });
  onEnd(() => deployment.close());
  const origin = await deployment.startOrigin();
  await deployment.startEdge();
  return { deployment, origin };
}

const nameOf = (name: string) => `${REPOSITORY_PREFIX}${name}`;
const pathOf = (name: string) => `/v2/${nameOf(name)}/manifests/latest`;

function count(origin: Part, what: (line: Part["log"][number]) => boolean): number {
  return origin.log.filter(what).length;
}

const realised = (origin: Part) =>
  count(
    origin,
    ({ msg, program, args }) =>
      msg === "started" && program === "nix-store" && (args as string[])[0] === "--realise",
  );

/** A client that can be reset: what workerd notices, unlike the end of what a client sends. */
async function clientOf(url: string, name: string): Promise<{ leave(): void }> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.on("error", () => undefined);
  await once(socket, "connect");
  socket.write(`GET ${pathOf(name)} HTTP/1.1\r\nHost: registry\r\n\r\n`);
  return { leave: () => socket.resetAndDestroy() };
}

async function assertEnded(builder: readonly number[]): Promise<void> {
  const isOver = async () => (await Promise.all(builder.map(isRunning))).every((runs) => !runs);
  await until("the builder has ended", isOver, LEFT_LIMIT_MS);
}

describe("a build that is pulled through the edge", { ...limit, ...skipWhere(hidesHost) }, () => {
  test("is started once for two hundred clients, who all get the same", async () => {
    const { deployment, origin } = await start(onTestFinished);
    const pulls = Array.from({ length: 200 }, () =>
      pullManifest(deployment.edgeUrl, nameOf("one/two")),
    );
    await Promise.all([set.running("one"), set.running("two")]);
    await Promise.all([set.open("one"), set.open("two")]);
    const digests = new Set((await Promise.all(pulls)).map(({ digest }) => digest));
    expect(digests.size).toBe(1);
    expect(realised(origin)).toBe(1);
    expect(await set.starts("one")).toBe(1);
  });

  test("goes on without its only client, and is there for the next pull", async () => {
    const { deployment, origin } = await start(onTestFinished);
    const client = await clientOf(deployment.edgeUrl, "one");
    await set.running("one");
    client.leave();
    await origin.waitFor(({ answer }) => answer === "left");
    await set.open("one");
    await origin.waitFor(({ msg }) => msg === "built after its request was answered");
    await pullManifest(deployment.edgeUrl, nameOf("one"));
    expect([realised(origin), await set.starts("one")]).toStrictEqual([1, 1]);
  });

  test("goes on for those who stay", async () => {
    const { deployment, origin } = await start(onTestFinished);
    await pullManifest(deployment.originUrl, nameOf("large"));
    const leaver = await clientOf(deployment.edgeUrl, "one/two");
    const builders = [...(await set.running("one")), ...(await set.running("two"))];
    const stayed = pullManifest(deployment.edgeUrl, nameOf("one/two"));
    const asked = () => count(origin, ({ msg }) => msg === "asked");
    const answered = () => count(origin, ({ msg }) => msg === "answered");
    const waiting = asked() - answered();
    await until("the other has asked too", () => asked() - answered() === waiting + 1);
    // Goes the other's way behind it, so that the other waits for the build when this one is through.
    await pullManifest(deployment.originUrl, nameOf("large"));
    leaver.leave();
    await until("the leaver is gone", () => asked() - answered() === waiting);
    expect((await Promise.all(builders.map(isRunning))).every(Boolean)).toBe(true);
    await Promise.all([set.open("one"), set.open("two")]);
    await stayed;
    // The other one was of the image that was pulled before.
    expect(realised(origin)).toBe(2);
  });

  test("is one slow pull, though the origin answers in between", async () => {
    const { deployment, origin } = await start(onTestFinished, { NIXPORT_HOLD: "1" });
    const pull = pullManifest(deployment.edgeUrl, nameOf("one"));
    const held = () => count(origin, ({ msg, status }) => msg === "answered" && status === 503);
    await until("the origin has answered twice", () => held() >= 2);
    await set.open("one");
    expect(await missingBlobs(deployment.edgeUrl, await pull)).toStrictEqual([]);
    expect(realised(origin)).toBe(1);
  });

  test("beyond the edge's patience is 503 with how far it is, and the next pull's image", async () => {
    const { deployment, origin } = await start(onTestFinished, {
      NIXPORT_HOLD: "1",
      ORIGIN_WAIT_SECONDS: "1",
    });
    const response = await fetch(deployment.edgeUrl + pathOf("one"));
    expect(response.status).toBe(503);
    expect(response.headers.get("Retry-After")).toBe("1");
    expect(response.headers.get("Cache-Control")).toBe("no-store");
    expect(await response.text()).toMatch(/not ready yet: building \d of \d: .*one-1\.0/);
    await set.open("one");
    await origin.waitFor(({ msg }) => msg === "built after its request was answered");
    await pullManifest(deployment.edgeUrl, nameOf("one"));
    expect(realised(origin)).toBe(1);
  });

  test("is 429 and not kept where too much is being built, once its client was held", async () => {
    const { deployment, origin } = await start(onTestFinished, {
      NIXPORT_MAX_BUILDS: "1",
      NIXPORT_MAX_QUEUE: "0",
      NIXPORT_HOLD: "2",
      ORIGIN_WAIT_SECONDS: "2",
    });
    // Has what is in every image made, which the next two would share, and wait for together.
    await pullWhenMade(deployment.edgeUrl, nameOf("large"));
    const first = fetch(deployment.edgeUrl + pathOf("one"));
    await set.running("one");
    const agent = { headers: { "User-Agent": "containerd/v2.3.1" } };
    const refused = await fetch(deployment.edgeUrl + pathOf("two"), agent);
    expect(refused.status).toBe(429);
    expect(refused.headers.get("Retry-After")).toBe("30");
    expect(refused.headers.get("Cache-Control")).toBe("no-store");
    expect(await refused.text()).toMatch(/"TOOMANYREQUESTS".*"busy"/);
    // It was tried again all the while, and is when the other is done.
    expect(count(origin, ({ msg }) => msg === "to realise")).toBeGreaterThan(3);
    await set.open("one");
    await (await first).body?.cancel();
    const second = pullWhenMade(deployment.edgeUrl, nameOf("two"));
    await set.running("two");
    await set.open("two");
    await second;
  });
});

describe("skopeo", { ...limit, ...skipWhere(hidesHost || missingClient("skopeo")) }, () => {
  test("that is killed while it waits at the origin leaves its build to whoever asks next", async () => {
    const { deployment, origin } = await start(onTestFinished, { NIXPORT_MAX_BUILDS: "1" });
    // Has what is in every image made, which the next two would share, and wait for together.
    await pullManifest(deployment.edgeUrl, nameOf("large"));
    const { host } = new URL(deployment.originUrl);
    const image = `docker://${host}/${nameOf("one")}`;
    const client = spawn("skopeo", ["inspect", "--raw", "--tls-verify=false", image], {
      stdio: "ignore",
    });
    const builder = await set.running("one");
    client.kill("SIGKILL");
    await origin.waitFor(({ answer }) => answer === "left");
    expect(await Promise.all(builder.map(isRunning))).toStrictEqual([true, true]);

    // Others need the only place that there is, and what nobody waits for is ended for them.
    const other = pullManifest(deployment.edgeUrl, nameOf("two"));
    const next = await set.running("two");
    await assertEnded(builder);
    expect(await Promise.all(next.map(isRunning))).toStrictEqual([true, true]);
    await set.open("two");
    await other;
  });
});
