// The wall clock is set by an hour, forward and back, while origin and edge are under load: nobody is answered
// with anything wrong, everything goes on, and a tag that moves afterwards is not kept where it was.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { collectAnswers } from "../kills/answers.ts";
import { coldName, plantColdSet } from "../kills/cold-set.ts";
import { startLoad } from "../kills/load.ts";
import { endOfFile } from "../origin/fixture.ts";
import { until } from "../origin/images/gated-set.ts";
import { hidesHost } from "../origin/nix/sandbox-shell.ts";
import { skipWhere } from "../skip-where.ts";
import { pullManifest } from "./clients.ts";
import { type Deployment, deploy, type Part } from "./deployment.ts";
import { missingClock, openClock, type SetClock } from "./set-clock.ts";

const atEnd = endOfFile();
const LIMIT_MS = 60_000;
/** Answered between two settings of the clock: of all kinds. */
const ANSWERS = 60;
/** Of a package that the load does not come to. */
const UNASKED = 19_000;
let clock: SetClock;
let deployment: Deployment;
let packages: string;
let origin: Part;

describe("a clock that is set", skipWhere(missingClock() || hidesHost), () => {
  beforeAll(async () => {
    clock = await openClock(atEnd);
    packages = await mkdtemp(join(tmpdir(), "nixport-set-"));
    atEnd(() => rm(packages, { recursive: true, force: true }));
    await plantColdSet(packages, packages);
    deployment = await deploy({
      ...{ packages, launcher: clock.launcher },
      env: { ...clock.env, PIN_FRESH_SECONDS: "1" },
    });
    atEnd(() => deployment.close());
    [origin] = await Promise.all([deployment.startOrigin(), deployment.startEdge()]);
  });

  test("by an hour in both directions makes no answer wrong, and none late", async () => {
    const answers = collectAnswers(deployment.edgeUrl);
    await answers.pullByTag("hello");
    const load = startLoad(answers, 1);
    for (const hours of [1, 0, -1, 0]) {
      await clock.set(hours);
      const { right } = load.counts;
      const { size } = answers.images;
      const goesOn = () => load.counts.right > right + ANSWERS && answers.images.size > size;
      await until(`all goes on at ${hours} h`, goesOn, LIMIT_MS);
    }
    await load.stop();
    expect(load.wrong).toStrictEqual([]);
    // What was signed before and arrived after it: for a second or so.
    expect(load.counts.refused).toBeLessThan(load.counts.right / 4);
  });

  test("back by an hour keeps no tag where it was", async () => {
    const name = coldName(UNASKED);
    const pull = async () => (await pullManifest(deployment.edgeUrl, name)).digest;
    await clock.set(1);
    const before = await pull();
    // So the edge has the tag's pin, of a time that is to come.
    await origin.waitFor(({ msg, recipe }) => msg === "backfilled" && `${recipe}`.includes(name));
    await clock.set(0);
    await plantColdSet(packages, `${packages} moved`);
    await until("the tag moves", async () => (await pull()) !== before, LIMIT_MS);
  });
});
