// In which order images are made when a tag has moved: users first, the last pulled next; and what
// becomes of those that cannot be made for now.

import { assert, describe, expect, onTestFinished, test } from "vitest";
import type { BuildFailure } from "../../../origin/failures/failures.ts";
import type { Images } from "../../../origin/images/images.ts";
import type { Lookups, NoLookup } from "../../../origin/images/lookups.ts";
import { createRefresh } from "../../../origin/refresh/refresh.ts";
import { openTracked } from "../../../origin/refresh/tracked.ts";
import type { PinnedTag } from "../../../origin/sources/pins.ts";
import { openFilesystemStore } from "../../../origin/storage/filesystem.ts";
import { parsePin } from "../../../registry/naming/pin.ts";
import { isImplicit } from "../../../registry/naming/recipe.ts";
import { parseTag } from "../../../registry/naming/reference.ts";
import { recipeOf } from "../../registry/fixture.ts";
import { type Ending, readableLog, temporaryDirectory } from "../fixture.ts";
import { until } from "../images/gated-set.ts";

const limit = { timeout: 30_000 };

function must<T>(value: T | undefined): T {
  assert(value !== undefined);
  return value;
}

const tag = must(parseTag("latest"));
const signal = AbortSignal.any([]);

function pinned(digit: string): PinnedTag {
  const commit = digit.repeat(40);
  const source = { kind: "git", url: "https://example.org/set", commit } as const;
  return {
    kind: "pinned",
    pin: must(parsePin(commit)),
    source,
    resolvedAtMs: 0,
    immutable: false,
  };
}

function image(name: string) {
  return { recipe: recipeOf(name), tag, variant: "oci-zstd" as const };
}

const FAILED: BuildFailure = { kind: "too-many-layers", count: 1000 };
const UNREACHABLE = { kind: "unreachable", message: "the forge is down" } as const;

/** A refresh whose images end when the test says so: what is asked of them is all that counts here. */
async function workshop(onEnd: Ending, names: readonly string[]) {
  const store = await openFilesystemStore(await temporaryDirectory(onEnd));
  const { log } = readableLog();
  let nowMs = 0;
  const now = () => nowMs;
  const tracked = await openTracked({ store, sourceId: "x", keepMs: 1, now, log });
  for (const name of names) tracked.pulled(image(name), pinned("1").pin, true);
  const refresh = createRefresh({ tracked, log, now, signal });
  const begun: string[] = [];
  let end: (failure?: BuildFailure) => void = () => {};
  let stopped: NoLookup | undefined;
  const images: Images = {
    async build({ packages }) {
      begun.push(packages.filter((name) => !isImplicit(name)).join("/"));
      const { promise, resolve } = Promise.withResolvers<BuildFailure>();
      end = (failure = FAILED) => resolve(failure);
      return await promise;
    },
  };
  const lookups: Pick<Lookups, "find"> = {
    async find(_pinned, _system, names) {
      if (stopped === undefined) return [];
      const lookup = stopped;
      return names.map((name) => ({ name, lookup, isRemembered: false }));
    },
  };
  return {
    refresh,
    start: () =>
      refresh.start({
        ...{ lookups: lookups as Lookups, images, give: async () => {} },
        ...{ kept: { keep: async () => true }, answered: { note: async () => {} } },
        pulls: { pulled: () => {} },
      }),
    begun,
    begins: (count: number) => until(`${count} are begun`, () => begun.length === count),
    end: (failure?: BuildFailure) => end(failure),
    /** From now on nothing is found out of any name, for this reason. */
    stopLookups(reason: NoLookup | undefined) {
      stopped = reason;
    },
    pass(ms: number) {
      nowMs += ms;
    },
  };
}

describe("images of a tag that moved", limit, () => {
  test("are made one at a time, the last pulled first", async () => {
    const { refresh, start, begun, begins, end } = await workshop(onTestFinished, ["a", "b", "c"]);
    start();
    refresh.moved(tag, pinned("1"), pinned("2"));
    for (const count of [1, 2, 3]) {
      await begins(count);
      end();
    }
    await refresh.settled();
    expect(begun).toStrictEqual(["c", "b", "a"]);
  });

  test("are not begun while a user pulls", async () => {
    const { refresh, start, begun, begins, end } = await workshop(onTestFinished, ["a", "b"]);
    start();
    const pull = Promise.withResolvers<void>();
    const pulling = refresh.first(() => pull.promise);
    refresh.moved(tag, pinned("1"), pinned("2"));
    const other = refresh.first(async () => expect(begun).toStrictEqual([]));
    await other;
    expect(begun).toStrictEqual([]);
    pull.resolve();
    await pulling;
    await begins(1);
    end();
    await begins(2);
    end();
    await refresh.settled();
  });

  test("are answered at the earlier pin until they have been tried", async () => {
    const { refresh, start, begins, end } = await workshop(onTestFinished, ["a", "b"]);
    start();
    const [from, to] = [pinned("1"), pinned("2")];
    const standIns = () =>
      ["a", "b", "c"].map((name) => refresh.standIn(image(name), to)?.pin ?? null);
    expect(standIns()).toStrictEqual([null, null, null]);
    refresh.moved(tag, from, to);
    expect(standIns()).toStrictEqual([from.pin, from.pin, null]);
    await begins(1);
    end();
    await begins(2);
    expect(standIns()).toStrictEqual([from.pin, null, null]);
    expect(refresh.standIn(image("a"), pinned("3"))).toBeUndefined();
    end();
    await refresh.settled();
    expect(standIns()).toStrictEqual([null, null, null]);
  });

  test("wait until there is something to make them with", async () => {
    const { refresh, start, begun, begins, end } = await workshop(onTestFinished, ["a"]);
    const to = pinned("2");
    refresh.moved(tag, pinned("1"), to);
    await refresh.settled();
    expect(begun).toStrictEqual([]);
    expect(refresh.standIn(image("a"), to)?.pin).toBe(pinned("1").pin);
    start();
    await begins(1);
    end();
    await refresh.settled();
  });
});

describe("images of a tag that moved which cannot be made for now", limit, () => {
  const [from, to] = [pinned("1"), pinned("2")];

  test("stay at the earlier pin, and are made when the tag is pulled after a while", async () => {
    const { refresh, start, begun, begins, end, pass } = await workshop(onTestFinished, ["a", "b"]);
    const standIns = () => ["a", "b"].map((name) => refresh.standIn(image(name), to)?.pin ?? null);
    start();
    refresh.moved(tag, from, to);
    await begins(1);
    end(UNREACHABLE);
    await begins(2);
    end(FAILED);
    await refresh.settled();
    pass(86_400_000);
    expect(standIns()).toStrictEqual([null, from.pin]);

    refresh.resolved(tag, to);
    await begins(3);
    // An answer of half an hour ago is worth less than a wait for what is being made.
    pass(1_800_000);
    expect(standIns()).toStrictEqual([null, null]);
    end(FAILED);
    await refresh.settled();
    expect(begun).toStrictEqual(["b", "a", "b"]);
  });

  test("are left alone for longer each time", async () => {
    const { refresh, start, begun, begins, end, pass } = await workshop(onTestFinished, ["a"]);
    start();
    refresh.moved(tag, from, to);
    for (const [restMs, tries] of [
      [2000, 1],
      [4000, 2],
      [8000, 3],
    ] as const) {
      await begins(tries);
      end(UNREACHABLE);
      await refresh.settled();
      pass(restMs - 1);
      refresh.resolved(tag, to);
      await refresh.settled();
      expect(begun).toHaveLength(tries);
      pass(1);
      refresh.resolved(tag, to);
    }
    await begins(4);
    end();
    await refresh.settled();
  });

  test("are not begun while the source itself does not answer", async () => {
    const { refresh, start, begun, begins, end, stopLookups, pass } = await workshop(
      onTestFinished,
      ["a", "b"],
    );
    stopLookups(UNREACHABLE);
    start();
    refresh.moved(tag, from, to);
    await refresh.settled();
    expect(begun).toStrictEqual([]);
    expect(refresh.standIn(image("a"), to)?.pin).toBe(from.pin);
    stopLookups(undefined);
    pass(2000);
    refresh.resolved(tag, to);
    for (const count of [1, 2]) {
      await begins(count);
      end();
    }
    await refresh.settled();
  });

  test("go with the next move", async () => {
    const { refresh, start, begins, end } = await workshop(onTestFinished, ["a"]);
    start();
    refresh.moved(tag, from, to);
    await begins(1);
    end(UNREACHABLE);
    await refresh.settled();
    refresh.moved(tag, to, pinned("3"));
    expect(refresh.standIn(image("a"), pinned("3"))?.pin).toBe(from.pin);
    await begins(2);
    end();
    await refresh.settled();
  });
});
