// How far images are, as the log tells it: looked at once a second, of which the test is the clock.

import assert from "node:assert/strict";
import { beforeEach, describe, type TestContext, test } from "node:test";
import { createStageLog, LOOK_EVERY_MS } from "../../../origin/pulling/stage-log.ts";
import type { Stage, Wait } from "../../../origin/waiting/hold-request.ts";
import { tagOf } from "../../registry/fixture.ts";
import { readableLog } from "../fixture.ts";

beforeEach((t) => {
  (t as TestContext).mock.timers.enable({ apis: ["setInterval"] });
});

function open(t: TestContext) {
  const { log, lines } = readableLog();
  let now = 0;
  const stages = createStageLog({ log, now: () => now });
  return {
    /** What was logged in so many seconds. */
    pass(seconds: number): readonly string[] {
      lines.length = 0;
      for (let second = 0; second < seconds; second++) {
        now += LOOK_EVERY_MS;
        t.mock.timers.tick(LOOK_EVERY_MS);
      }
      return lines.map(({ image, tag, ms, said }) => `${image}:${tag} ${ms} ${said}`);
    },
    /** An image that is waited for until it is told to end. */
    wait(image: string) {
      const told: (() => Stage)[] = [];
      const outer: Wait = {
        signal: new AbortController().signal,
        onStage: (stage) => told.push(stage),
      };
      const { promise, resolve, reject } = Promise.withResolvers<string>();
      const { promise: begun, resolve: begin } = Promise.withResolvers<Wait>();
      const work = (wait: Wait) => {
        begin(wait);
        return promise;
      };
      const result = stages.watch({ image, tag: tagOf("latest") }, outer, work);
      const stage = async (next: () => Stage) => (await begun).onStage(next);
      return { ...{ stage, told, result, end: () => resolve("done") }, fail: reject };
    },
  };
}

const building = (done: number, doneBytes: number, ...running: string[]): Stage => ({
  kind: "realising",
  progress: {
    builds: { done, expected: 3, running },
    downloads: { doneBytes, expectedBytes: 80_000_000 },
  },
});

describe("what is logged of an image that is being waited for", () => {
  test("is each stage it comes to and stays in, once", async (t) => {
    const { pass, wait } = open(t);
    const git = wait("git");
    assert.deepEqual(pass(3), ["git:latest 1000 looking the packages up"]);
    await git.stage(() => ({ kind: "queued" }));
    await git.stage(() => building(0, 80e6, "hello-2.12"));
    assert.deepEqual(pass(2), ["git:latest 4000 building 1 of 3: hello-2.12"]);
    await git.stage(() => building(1, 80e6, "git-2.51"));
    assert.deepEqual(pass(2), ["git:latest 6000 building 2 of 3: git-2.51"]);
    await git.stage(() => ({ kind: "packing" }));
    assert.deepEqual(pass(2), ["git:latest 8000 packing layers"]);
    git.end();
    assert.equal(await git.result, "done");
    assert.deepEqual(pass(10), []);
  });

  test("is a download again every five seconds while it gets on", async (t) => {
    const { pass, wait } = open(t);
    const git = wait("git");
    let doneBytes = 0;
    await git.stage(() => {
      doneBytes += 1e6;
      return building(0, doneBytes);
    });
    assert.deepEqual(pass(11), [
      "git:latest 1000 downloading 1 of 80 MB",
      "git:latest 6000 downloading 6 of 80 MB",
      "git:latest 11000 downloading 11 of 80 MB",
    ]);
    await git.stage(() => building(0, 11e6));
    assert.deepEqual(pass(20), []);
  });

  test("is told to the request that waits as well", async (t) => {
    const { wait } = open(t);
    const git = wait("git");
    await git.stage(() => ({ kind: "queued" }));
    assert.deepEqual(
      git.told.map((stage) => stage()),
      [{ kind: "queued" }],
    );
  });

  test("is one line of several pulls of it, until the last has ended", async (t) => {
    const { pass, wait } = open(t);
    const [first, second] = [wait("git"), wait("git")];
    assert.deepEqual(pass(2), ["git:latest 1000 looking the packages up"]);
    first.end();
    await first.result;
    await second.stage(() => ({ kind: "packing" }));
    assert.deepEqual(pass(2), ["git:latest 3000 packing layers"]);
    second.fail(new Error("broken"));
    await assert.rejects(second.result, /broken/);
    await first.stage(() => ({ kind: "queued" }));
    assert.deepEqual(pass(2), []);
  });

  test("is five lines a second of however many, each in its turn", (t) => {
    const { pass, wait } = open(t);
    for (let index = 0; index < 12; index++) wait(`p${index}`);
    const names = (lines: readonly string[]) => lines.map((line) => line.split(":")[0]);
    assert.deepEqual(names(pass(1)), ["p0", "p1", "p2", "p3", "p4"]);
    assert.deepEqual(names(pass(1)), ["p5", "p6", "p7", "p8", "p9"]);
    assert.deepEqual(names(pass(5)), ["p10", "p11"]);
  });
});
