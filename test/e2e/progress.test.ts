// Watching images while they are made, through the edge. Builders wait until the test lets them go on.

import { assert, beforeAll, describe, expect, test } from "vitest";
import { readEvents } from "../../registry/http/event-stream.ts";
import { VARIANT_HEADER } from "../../registry/http/negotiation.ts";
import { isLast, type ProgressEvent, parseProgress } from "../../registry/http/progress.ts";
import { VARIANTS } from "../../registry/image/variant.ts";
import { ended, start } from "../origin/command/command.ts";
import { endOfFile } from "../origin/fixture.ts";
import { REPOSITORY_PREFIX } from "../origin/house.ts";
import { type GatedSet, plantGatedSet } from "../origin/images/gated-set.ts";
import { type Deployment, deploy } from "./deployment.ts";

const limit = { timeout: 120_000 };
const atEnd = endOfFile();
let set: GatedSet;
let deployment: Deployment;

beforeAll(async () => {
  set = await plantGatedSet(atEnd);
  deployment = await deploy({ packages: set.path });
  atEnd(() => deployment.close());
  await deployment.startOrigin();
  await deployment.startEdge();
});

const nameOf = (name: string) => `${REPOSITORY_PREFIX}${name}`;

async function* watch(name: string): AsyncGenerator<ProgressEvent> {
  const response = await fetch(`${deployment.edgeUrl}/api/progress/${nameOf(name)}`);
  assert(response.status === 200 && response.body !== null, `status ${response.status}`);
  for await (const { event, data } of readEvents(response.body)) {
    yield parseProgress(event, data) ?? assert.fail(`${event}: ${data}`);
  }
}

function pull(name: string): Promise<Response> {
  return fetch(`${deployment.edgeUrl}/v2/${nameOf(name)}/manifests/latest`);
}

/** All from now on; `onStage` hears of each before the next is read. */
async function follow(
  name: string,
  onStage: (stage: Extract<ProgressEvent, { event: "stage" }>["data"]) => void = () => {},
): Promise<ProgressEvent> {
  let last: ProgressEvent | undefined;
  for await (const event of watch(name)) {
    assert(last === undefined, "an event after the last");
    if (event.event === "stage") onStage(event.data);
    if (isLast(event)) last = event;
  }
  return last ?? assert.fail("no end");
}

describe("who watches an image through the edge", limit, () => {
  test("is told that nothing is under way, sees it being built, and that it is there", async () => {
    expect(await follow("one")).toStrictEqual({ event: "idle", data: {} });
    const pulled = pull("one");
    await set.running("one");
    const { promise: seen, resolve } = Promise.withResolvers<void>();
    const followed = follow("one", ({ stage, running, counts, said }) => {
      if (!running.includes("one-1.0")) return;
      expect(stage).toBe("realising");
      expect(said).toMatch(/^building \d of \d: .*one-1\.0/);
      assert(counts !== null && counts.done < counts.expected);
      resolve();
    });
    await Promise.race([seen, followed]);
    await set.open("one");
    const response = await pulled;
    expect(response.status, await response.clone().text()).toBe(200);
    const digest = response.headers.get("Docker-Content-Digest");
    expect(await followed).toStrictEqual({ event: "done", data: { digest, edge: "all" } });
    expect(await follow("one")).toStrictEqual({ event: "known", data: { digest, edge: "all" } });
  });

  test("is told why it failed, of which the builder's words are data", async () => {
    const pulled = pull("fails");
    await set.running("fails");
    const followed = follow("fails");
    await set.open("fails");
    expect((await pulled).status).toBe(404);
    const last = await followed;
    assert(last.event === "failed");
    expect(last.data.message).toMatch(/^fails cannot be built: /);
    const [script, event, turned] = last.data.log;
    expect(script).toMatch(/^<script>alert/);
    expect([event, turned]).toStrictEqual(["event: done", "desrever"]);
  });
});

describe("nixport warm", limit, () => {
  const command = (word: string, ...names: readonly string[]) =>
    start([word, "--url", deployment.edgeUrl, ...names.map(nameOf)]);

  test("has images made and the edge filled, and says which could not be had, and why", async () => {
    const child = command("warm", "two", "fails", "fails");
    const warming = ended(child);
    const { promise: seen, resolve } = Promise.withResolvers<void>();
    child.stderr.on("data", (text) => String(text).includes("two-1.0") && resolve());
    await seen;
    const status = await ended(command("status", "two"));
    expect(status).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^\S*two:latest: building \d of \d: .*two-1\.0/),
    });
    await set.open("two");
    const { code, stdout, stderr } = await warming;
    expect(stdout).toMatch(
      /^\S*two:latest zstd sha256:[0-9a-f]{64} gzip sha256:[0-9a-f]{64} \d+ blobs, .* s\n$/,
    );
    expect(stderr).toMatch(/^\S*two:latest: building \d of \d: /m);
    expect(stderr).toMatch(/^\S*fails:latest: fails cannot be built: .*exit code 3$/m);
    expect(stderr).toMatch(/^nixport: 1 of 2 images could not be had\n$/m);
    expect(code).toBe(1);
    for (const variant of VARIANTS) {
      const path = `/v2/${nameOf("two")}/manifests/latest`;
      const headers = { [VARIANT_HEADER]: variant };
      const response = await fetch(deployment.edgeUrl + path, { headers });
      expect(response.headers.get("Cache-Status"), variant).toMatch(/^nixport; hit/);
    }
    const after = await ended(
      start(["status", "--url", deployment.edgeUrl, "--follow", nameOf("two")]),
    );
    expect(after.stdout).toMatch(/two:latest: sha256:[0-9a-f]{64}\n$/);
  });

  test("is stopped by Ctrl-C, and what it has begun goes on", async () => {
    const warming = command("warm", "four");
    await set.running("four");
    warming.kill("SIGINT");
    expect(await ended(warming)).toMatchObject({ code: 130, stdout: "" });
    await set.open("four");
    expect((await pull("four")).status).toBe(200);
    expect(await set.starts("four")).toBe(1);
  });
});
