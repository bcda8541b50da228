// Joined work.

import { setImmediate } from "node:timers/promises";
import { assert, describe, expect, test } from "vitest";
import { type Demand, GaveWay, ownDemand, requestDemand } from "../../../origin/waiting/demand.ts";
import { joinBatches } from "../../../origin/waiting/join.ts";

interface Run {
  readonly items: readonly string[];
  readonly demand: Demand;
  readonly resolve: (results: readonly string[]) => void;
  readonly reject: (error: Error) => void;
}

/** Work that ends when the test says so. Items of one first letter are the same work. */
function controlled() {
  const runs: Run[] = [];
  const joined = joinBatches<string, string>(
    (item) => item[0] ?? "",
    (items, demand) => {
      const { promise, resolve, reject } = Promise.withResolvers<readonly string[]>();
      runs.push({ items, demand, resolve, reject });
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

const isEnded = ({ demand }: Run) => demand.signal.aborted;

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

  test("ends a run when the last who has a use for it has none any more, and not before", async () => {
    const { joined, runs } = controlled();
    const leavers = Array.from({ length: 3 }, () => new AbortController());
    const calls = leavers.map(({ signal }, index) =>
      joined.all([["a", "b"][index] ?? "a"], ownDemand(signal)),
    );
    const both = new AbortController();
    const last = joined.all(["a", "b"], ownDemand(both.signal));
    expect(runs).toHaveLength(2);
    for (const [index, each] of leavers.entries()) {
      each.abort(new Error("left"));
      await expect(calls[index] ?? Promise.resolve()).rejects.toThrow(/left/);
    }
    expect(runs.map(isEnded)).toStrictEqual([false, false]);
    both.abort(new Error("left"));
    await expect(last).rejects.toThrow(/left/);
    expect(runs.map(isEnded)).toStrictEqual([true, true]);
  });

  test("keeps one run for several items while any of them is of use", async () => {
    const { joined, runs, finish } = controlled();
    const first = new AbortController();
    const left = joined.all(["a", "b"], ownDemand(first.signal));
    const stayed = joined.all(["b"]);
    first.abort(new Error("left"));
    await expect(left).rejects.toThrow(/left/);
    // Still under way, so it can be joined.
    const joinedAgain = joined.all(["a"]);
    expect(runs).toHaveLength(1);
    expect(runs.map(isEnded)).toStrictEqual([false]);
    finish(0);
    expect(await Promise.all([stayed, joinedAgain])).toStrictEqual([["b!"], ["a!"]]);
  });

  test("starts anew for whoever asks after a run was ended", async () => {
    const { joined, runs, finish } = controlled();
    const first = new AbortController();
    const left = joined.all(["a"], ownDemand(first.signal));
    first.abort(new Error("left"));
    await expect(left).rejects.toThrow(/left/);
    const again = joined.all(["a"]);
    expect(runs).toHaveLength(2);
    // What comes of the ended run takes nothing from the one that replaced it.
    runs[0]?.reject(new Error("ended"));
    await setImmediate();
    const joiner = joined.all(["a"]);
    expect(runs).toHaveLength(2);
    finish(1);
    expect(await Promise.all([again, joiner])).toStrictEqual([["a!"], ["a!"]]);
  });

  test("starts nothing for a caller that has no use for it already", async () => {
    const { joined, runs } = controlled();
    const left = ownDemand(AbortSignal.abort(new Error("left")));
    await expect(joined.all(["a"], left)).rejects.toThrow(/left/);
    expect(runs).toHaveLength(0);
  });

  test("leaves a run alone that is done", async () => {
    const { joined, runs, finish } = controlled();
    const caller = new AbortController();
    const results = joined.all(["a"], ownDemand(caller.signal));
    finish(0);
    await results;
    caller.abort();
    expect(runs.map(isEnded)).toStrictEqual([false]);
  });

  test("goes on with a run that every client has left, and gives it to the next who asks", async () => {
    const { joined, runs, finish } = controlled();
    const clients = ["x", "y"].map(requestDemand);
    const calls = clients.map((client) => joined.all(["a"], client));
    const { demand } = runs[0] ?? assert.fail();
    expect(demand.clients()).toStrictEqual(["x", "y"]);
    let changes = 0;
    demand.watch(() => {
      changes += 1;
    });
    for (const client of clients) client.leave();
    expect(changes).toBe(2);
    expect([demand.isWanted(), demand.signal.aborted]).toStrictEqual([false, false]);
    const next = joined.all(["a"], requestDemand("z"));
    expect(demand.isWanted()).toBe(true);
    demand.giveWay();
    finish(0);
    expect(await Promise.all([...calls, next])).toStrictEqual([["a!"], ["a!"], ["a!"]]);
    expect(runs).toHaveLength(1);
  });

  test("joins what nobody waits for before it starts what that would give way for", async () => {
    const runs: (readonly string[])[] = [];
    const demands: Demand[] = [];
    const { promise, resolve } = Promise.withResolvers<void>();
    const joined = joinBatches<string, string>(
      (item) => item,
      async (items, demand) => {
        runs.push(items);
        // As slots have it when another needs the place.
        for (const earlier of demands) earlier.giveWay();
        demands.push(demand);
        await promise;
        return items;
      },
    );
    const left = requestDemand("x");
    const first = joined.all(["a"], left);
    left.leave();
    const second = joined.all(["b", "a"], requestDemand("y"));
    expect(runs).toStrictEqual([["a"], ["b"]]);
    resolve();
    expect(await Promise.all([first, second])).toStrictEqual([["a"], ["b", "a"]]);
  });

  test("ends what gives way with all that needs it, and nothing else", async () => {
    const { joined: inner, runs } = controlled();
    const outer = joinBatches<string, string>(
      (item) => item,
      (items, demand) => inner.all(items, demand),
    );
    const client = requestDemand("x");
    const needing = outer.all(["a1", "b1"], client);
    const other = inner.all(["c"], requestDemand("y"));
    client.leave();
    runs[0]?.demand.giveWay();
    // At once, so that nobody can join what is being ended.
    const again = outer.all(["a1", "b1"], requestDemand("z"));
    await expect(needing).rejects.toThrow(GaveWay);
    expect(runs.map(({ items }) => items)).toStrictEqual([["a1", "b1"], ["c"], ["a1", "b1"]]);
    expect(runs.map(isEnded)).toStrictEqual([true, false, false]);
    for (const { items, resolve } of runs) resolve(items.map((item) => `${item}!`));
    expect(await Promise.all([other, again])).toStrictEqual([["c!"], ["a1!", "b1!"]]);
  });

  test("starts nothing for no items", async () => {
    const { joined, runs } = controlled();
    expect(await joined.all([])).toStrictEqual([]);
    expect(runs).toHaveLength(0);
  });
});
