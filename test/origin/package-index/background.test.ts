import { describe, expect, onTestFinished, test } from "vitest";
import type { OnSpawn } from "../../../origin/nix/run-log.ts";
import {
  type BackgroundOptions,
  createBackgroundIndexes,
  type TaggedIndex,
} from "../../../origin/package-index/background.ts";
import type { PinnedTag } from "../../../origin/sources/pins.ts";
import type { ObtainedTree } from "../../../origin/sources/trees.ts";
import { openFilesystemStore } from "../../../origin/storage/filesystem.ts";
import { createSlots } from "../../../origin/waiting/slots.ts";
import type { System } from "../../../registry/naming/recipe.ts";
import { pinOf, tagOf } from "../../registry/fixture.ts";
import { readableLog, temporaryDirectory } from "../fixture.ts";
import { derivation, packageSet, SYSTEM, testNix } from "../nix/fixture.ts";

const system = SYSTEM as System;
const LATEST = tagOf("latest");

describe("the indexes of an origin", { timeout: 60_000 }, () => {
  test("are made for the tags' pins, tried again, and given up when the tag moves", async () => {
    const nix = await testNix({ onSpawn: (() => undefined) satisfies OnSpawn });
    const set = `{ hello = ${derivation("hello-1", "echo > $out")}; }`;
    const source = await packageSet(onTestFinished, nix, set);
    const pinnedAt = (digit: string): PinnedTag => ({
      ...{
        kind: "pinned",
        immutable: false,
        pin: pinOf(digit.repeat(40)),
        resolvedAtMs: 7,
        source,
      },
    });
    const [first, second] = [pinnedAt("1"), pinnedAt("2")];
    const stop = new AbortController();
    onTestFinished(() => stop.abort(new Error("the test is over")));
    const unanswered: ObtainedTree = { kind: "unreachable", message: "the forge is away" };
    const held = Promise.withResolvers<ObtainedTree>();
    const answers: (ObtainedTree | Promise<ObtainedTree>)[] = [held.promise, unanswered];
    const { log, lines } = readableLog();
    const made: TaggedIndex[] = [];
    const options: BackgroundOptions = {
      ...{ nix, sets: [], systems: [system], log, now: Date.now, signal: stop.signal },
      store: await openFilesystemStore(await temporaryDirectory(onTestFinished)),
      trees: { obtain: async () => answers.shift() ?? { kind: "there", source } },
      slots: createSlots({ atOnce: 1, waiting: 10 }),
      quiet: async () => {},
      removesOld: true,
      onMade: (each) => made.push(each),
      firstRetryMs: 1,
    };
    const indexes = createBackgroundIndexes(options);
    indexes.want(LATEST, first);
    expect(indexes.states()).toMatchObject([{ pin: first.pin, tags: ["latest"] }]);
    indexes.want(LATEST, second);
    held.resolve({ kind: "there", source });
    await expect.poll(() => indexes.states()[0]?.kind, { timeout: 30_000 }).toBe("complete");
    expect(indexes.states()).toMatchObject([
      { kind: "complete", pin: second.pin, system, count: 1, unexplained: 0 },
    ]);
    expect(lines.map(({ msg }) => msg)).toContain("index given up: its tag has moved");
    expect(lines.find(({ msg }) => msg === "the index was not made")).toMatchObject({
      reason: "the forge is away",
    });

    indexes.want(tagOf("stable"), second);
    expect(made.map(({ tag, pinned }) => [tag, pinned.pin])).toStrictEqual([
      ["latest", second.pin],
      ["stable", second.pin],
    ]);
  });
});
