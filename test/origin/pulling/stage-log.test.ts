// How far images are, as the log tells it: looked at once a second, of which the test is the clock.

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createStageLog, LOOK_EVERY_MS } from "../../../origin/pulling/stage-log.ts";
import { ALWAYS } from "../../../origin/waiting/demand.ts";
import type { Stage, Wait } from "../../../origin/waiting/hold-request.ts";
import { tagOf } from "../../registry/fixture.ts";
import { readableLog } from "../fixture.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
});
afterEach(() => {
  vi.useRealTimers();
});

function open() {
  const { log, lines } = readableLog();
  let now = 0;
  const stages = createStageLog({ log, now: () => now });
  return {
    /** What was logged in so many seconds. */
    pass(seconds: number): readonly string[] {
      lines.length = 0;
      for (let second = 0; second < seconds; second++) {
        now += LOOK_EVERY_MS;
        vi.advanceTimersByTime(LOOK_EVERY_MS);
      }
      return lines.map(({ image, tag, ms, said }) => `${image}:${tag} ${ms} ${said}`);
    },
    /** An image that is waited for until it is told to end. */
    wait(image: string) {
      const told: (() => Stage)[] = [];
      const outer: Wait = {
        demand: ALWAYS,
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
  test("is each stage it comes to and stays in, once", async () => {
    const { pass, wait } = open();
    const git = wait("git");
    expect(pass(3)).toStrictEqual(["git:latest 1000 looking the packages up"]);
    await git.stage(() => ({ kind: "queued" }));
    await git.stage(() => building(0, 80e6, "hello-2.12"));
    expect(pass(2)).toStrictEqual(["git:latest 4000 building 1 of 3: hello-2.12"]);
    await git.stage(() => building(1, 80e6, "git-2.51"));
    expect(pass(2)).toStrictEqual(["git:latest 6000 building 2 of 3: git-2.51"]);
    await git.stage(() => ({ kind: "packing" }));
    expect(pass(2)).toStrictEqual(["git:latest 8000 packing layers"]);
    git.end();
    expect(await git.result).toBe("done");
    expect(pass(10)).toStrictEqual([]);
  });

  test("is a download again every five seconds while it gets on", async () => {
    const { pass, wait } = open();
    const git = wait("git");
    let doneBytes = 0;
    await git.stage(() => {
      doneBytes += 1e6;
      return building(0, doneBytes);
    });
    expect(pass(11)).toStrictEqual([
      "git:latest 1000 downloading 1 of 80 MB",
      "git:latest 6000 downloading 6 of 80 MB",
      "git:latest 11000 downloading 11 of 80 MB",
    ]);
    await git.stage(() => building(0, 11e6));
    expect(pass(20)).toStrictEqual([]);
  });

  test("is told to the request that waits as well", async () => {
    const { wait } = open();
    const git = wait("git");
    await git.stage(() => ({ kind: "queued" }));
    expect(git.told.map((stage) => stage())).toStrictEqual([{ kind: "queued" }]);
  });

  test("is one line of several pulls of it, until the last has ended", async () => {
    const { pass, wait } = open();
    const [first, second] = [wait("git"), wait("git")];
    expect(pass(2)).toStrictEqual(["git:latest 1000 looking the packages up"]);
    first.end();
    await first.result;
    await second.stage(() => ({ kind: "packing" }));
    expect(pass(2)).toStrictEqual(["git:latest 3000 packing layers"]);
    second.fail(new Error("broken"));
    await expect(second.result).rejects.toThrow(/broken/);
    await first.stage(() => ({ kind: "queued" }));
    expect(pass(2)).toStrictEqual([]);
  });

  test("is five lines a second of however many, each in its turn", () => {
    const { pass, wait } = open();
    for (let index = 0; index < 12; index++) wait(`p${index}`);
    const names = (lines: readonly string[]) => lines.map((line) => line.split(":")[0]);
    expect(names(pass(1))).toStrictEqual(["p0", "p1", "p2", "p3", "p4"]);
    expect(names(pass(1))).toStrictEqual(["p5", "p6", "p7", "p8", "p9"]);
    expect(names(pass(5))).toStrictEqual(["p10", "p11"]);
  });
});
