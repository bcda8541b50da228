// Joined work.

import { setImmediate } from "node:timers/promises";
import { assert, describe, expect, test } from "vitest";
import { joinBatches } from "../../../origin/waiting/join.ts";

interface Run {
  readonly items: readonly string[];
  readonly signal: AbortSignal;
  readonly resolve: (results: readonly string[]) => void;
  readonly reject: (error: Error) => void;
}

/** Work that ends when the test says so. Items of one first letter are the same work. */
function controlled() {
  const runs: Run[] = [];
  const joined = joinBatches<string, string>(
    (item) => item[0] ?? "",
    (items, signal) => {
      const { promise, resolve, reject } = Promise.withResolvers<readonly string[]>();
      runs.push({ items, signal, resolve, reject });
      return promise;
    },
  );
  const finish = (index: number) => {
    const run = runs[index];
    assert(run !== undefined);
    run.resolve(run.items.map((item) => `${item}!`));
  };
  return { joined, runs, finish };
}

/** Work that is never begun or ended must fail its test. */
const limit = { timeout: 10_000 };

describe("joinBatches", limit, () => {
  test("does the items of one call in one run, each once", async () => {
    const { joined, runs, finish } = controlled();
    const results = joined.all(["a1", "b1", "a2"]);
    finish(0);
    expect(await results).toStrictEqual(["a2!", "b1!", "a2!"]);
    expect(runs).toHaveLength(1);
    expect(runs[0]?.items).toHaveLength(2);
  });

  test("waits for items that are under way and starts only the others", async () => {
    const { joined, runs, finish } = controlled();
    const first = joined.all(["a", "b"]);
    const second = joined.all(["b", "c"]);
    const third = joined.all(["c", "a"]);
    expect(runs.map(({ items }) => items)).toStrictEqual([["a", "b"], ["c"]]);
    finish(1);
    finish(0);
    expect(await Promise.all([first, second, third])).toStrictEqual([
      ["a!", "b!"],
      ["b!", "c!"],
      ["c!", "a!"],
    ]);
  });

  test("does not wait for a batch it has no item in", async () => {
    const { joined, finish } = controlled();
    const slow = joined.all(["a"]);
    const fast = joined.all(["b"]);
    finish(1);
    expect(await fast).toStrictEqual(["b!"]);
    finish(0);
    await slow;
  });

  test("remembers nothing once the work is done", async () => {
    const { joined, runs, finish } = controlled();
    for (let round = 0; round < 3; round++) {
      const results = joined.all(["a"]);
      finish(round);
      await results;
    }
    expect(runs).toHaveLength(3);
  });

  test("rejects for everyone who waits, and starts anew for the next", async () => {
    const { joined, runs, finish } = controlled();
    const waiting = [joined.all(["a", "b"]), joined.all(["b"]), joined.all(["a", "c"])];
    runs[0]?.reject(new Error("no"));
    for (const each of waiting) await expect(each).rejects.toThrow(/no/);
    finish(1);
    const again = joined.all(["a", "c"]);
    finish(2);
    expect(await again).toStrictEqual(["a!", "c!"]);
  });

  test("rejects when the work cannot even begin, and is not stuck after it", async () => {
    let isBroken = true;
    const joined = joinBatches<string, string>(
      (item) => item,
      (items) => {
        if (isBroken) throw new Error("not begun");
        return Promise.resolve(items);
      },
    );
    await expect(joined.all(["a"])).rejects.toThrow(/not begun/);
    isBroken = false;
    expect(await joined.all(["a"])).toStrictEqual(["a"]);
  });

  test("rejects when the work gives fewer results than items", async () => {
    const { joined, runs } = controlled();
    const results = joined.all(["a", "b"]);
    runs[0]?.resolve(["a!"]);
    await expect(results).rejects.toThrow(/no result for b/);
  });

  test("aborts a run when the last who waits has left, and not before", async () => {
    const { joined, runs } = controlled();
    const leavers = Array.from({ length: 3 }, () => new AbortController());
    const calls = leavers.map(({ signal }, index) =>
      joined.all([["a", "b"][index] ?? "a"], signal),
    );
    const both = new AbortController();
    const last = joined.all(["a", "b"], both.signal);
    expect(runs).toHaveLength(2);
    for (const [index, each] of leavers.entries()) {
      each.abort(new Error("left"));
      await expect(calls[index] ?? Promise.resolve()).rejects.toThrow(/left/);
    }
    expect(runs.map(({ signal }) => signal.aborted)).toStrictEqual([false, false]);
    both.abort(new Error("left"));
    await expect(last).rejects.toThrow(/left/);
    expect(runs.map(({ signal }) => signal.aborted)).toStrictEqual([true, true]);
  });

  test("keeps one run for several items while any of them is waited for", async () => {
    const { joined, runs, finish } = controlled();
    const first = new AbortController();
    const left = joined.all(["a", "b"], first.signal);
    const stayed = joined.all(["b"]);
    first.abort(new Error("left"));
    await expect(left).rejects.toThrow(/left/);
    // Still under way, so it can be joined.
    const joinedAgain = joined.all(["a"]);
    expect(runs).toHaveLength(1);
    expect(runs[0]?.signal.aborted).toBe(false);
    finish(0);
    expect(await Promise.all([stayed, joinedAgain])).toStrictEqual([["b!"], ["a!"]]);
  });

  test("starts anew for whoever asks after a run was aborted", async () => {
    const { joined, runs, finish } = controlled();
    const first = new AbortController();
    const left = joined.all(["a"], first.signal);
    first.abort(new Error("left"));
    await expect(left).rejects.toThrow(/left/);
    const again = joined.all(["a"]);
    expect(runs).toHaveLength(2);
    // The end of the aborted run takes nothing from the one that replaced it.
    runs[0]?.reject(new Error("ended"));
    await setImmediate();
    const joiner = joined.all(["a"]);
    expect(runs).toHaveLength(2);
    finish(1);
    expect(await Promise.all([again, joiner])).toStrictEqual([["a!"], ["a!"]]);
  });

  test("starts nothing for a caller that has left already", async () => {
    const { joined, runs } = controlled();
    await expect(joined.all(["a"], AbortSignal.abort(new Error("left")))).rejects.toThrow(/left/);
    expect(runs).toHaveLength(0);
  });

  test("leaves a run alone that is done", async () => {
    const { joined, runs, finish } = controlled();
    const caller = new AbortController();
    const results = joined.all(["a"], caller.signal);
    finish(0);
    await results;
    caller.abort();
    expect(runs[0]?.signal.aborted).toBe(false);
  });

  test("starts nothing for no items", async () => {
    const { joined, runs } = controlled();
    expect(await joined.all([])).toStrictEqual([]);
    expect(runs).toHaveLength(0);
  });
});
