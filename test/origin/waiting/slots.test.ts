// Turns: so many at once, so many waiting, clients in turn, and what nobody waits for last.

import { setImmediate } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import type { MemoryWatch } from "../../../origin/waiting/memory-watch.ts";
import { type Busy, createSlots, type SlotsOptions } from "../../../origin/waiting/slots.ts";
import { controlledWork } from "./controlled.ts";

const controlled = (options: SlotsOptions) => controlledWork(createSlots(options));
const busy = (waiting: number): Busy => ({ kind: "busy", waiting });

/** Work that is never begun or ended must fail its test. */
const limit = { timeout: 10_000 };

describe("slots", limit, () => {
  test("run so many at once, and the others in the order they came", async () => {
    const { run, begun, end } = controlled({ atOnce: 2, waiting: 10 });
    const all = ["a", "b", "c", "d"].map((name) => run(name));
    await setImmediate();
    expect(begun).toStrictEqual(["a", "b"]);
    await end("b");
    expect(begun).toStrictEqual(["a", "b", "c"]);
    for (const name of ["a", "d", "c"]) await end(name);
    expect(await Promise.all(all)).toStrictEqual(["a", "b", "c", "d"]);
  });

  test("refuse whoever comes when too many wait, and nobody later", async () => {
    const { run, begun, end } = controlled({ atOnce: 1, waiting: 1 });
    const first = run("a");
    const second = run("b");
    expect(await run("c")).toStrictEqual(busy(1));
    await end("a");
    const third = run("d");
    await end("b");
    await end("d");
    expect(await Promise.all([first, second, third])).toStrictEqual(["a", "b", "d"]);
    expect(begun).toStrictEqual(["a", "b", "d"]);
  });

  test("keep no waiting room where none is wanted", async () => {
    const { run, end } = controlled({ atOnce: 1, waiting: 0 });
    const first = run("a");
    expect(await run("b")).toStrictEqual(busy(0));
    await end("a");
    await first;
  });

  test("forget whoever is no more before its turn", async () => {
    const { run, begun, end } = controlled({ atOnce: 1, waiting: 1 });
    const first = run("a");
    const leaver = new AbortController();
    const second = run("b", leaver.signal);
    leaver.abort();
    expect(await second).toStrictEqual({ kind: "cancelled" });
    const third = run("c");
    await end("a");
    await end("c");
    await Promise.all([first, third]);
    expect(begun).toStrictEqual(["a", "c"]);
    expect(await run("d", leaver.signal)).toStrictEqual({ kind: "cancelled" });
  });

  test("are free again after work that failed", async () => {
    const { run, end, fail } = controlled({ atOnce: 1, waiting: 1 });
    const first = run("a");
    await setImmediate();
    fail("a");
    await expect(first).rejects.toThrow(/^a failed$/);
    const second = run("b");
    await setImmediate();
    await end("b");
    expect(await second).toBe("b");
  });
});

describe("clients", limit, () => {
  test("take turns, however much one of them asks for", async () => {
    const { run, begun, end } = controlled({ atOnce: 1, waiting: 10 });
    const all = ["a1", "a2", "a3", "a4", "b1", "c1", "b2"].map((name) => run(name));
    await setImmediate();
    for (const name of ["a1", "b1", "c1", "a2"]) await end(name);
    // Whoever has just come is not before those that wait for longer than its last turn.
    all.push(run("c2"));
    for (const name of ["b2", "c2", "a3", "a4"]) await end(name);
    await Promise.all(all);
    expect(begun).toStrictEqual(["a1", "b1", "c1", "a2", "b2", "c2", "a3", "a4"]);
  });

  test("fill no queue for those who have less in it", async () => {
    const { run, begun, end } = controlled({ atOnce: 1, waiting: 4 });
    const a = ["a1", "a2", "a3", "a4", "a5"].map((name) => run(name));
    expect(await run("a6")).toStrictEqual(busy(4));
    const b = ["b1", "b2"].map((name) => run(name));
    expect(await Promise.all([a[4], a[3]])).toStrictEqual([busy(3), busy(3)]);
    // Half of it is its share.
    expect(await run("b3")).toStrictEqual(busy(4));
    for (const name of ["a1", "b1", "a2", "b2", "a3"]) await end(name);
    await Promise.all([...a, ...b]);
    expect(begun).toStrictEqual(["a1", "b1", "a2", "b2", "a3"]);
  });
});

describe("work that nobody waits for", limit, () => {
  test("goes on while there is room, and its turn comes last", async () => {
    const { run, begun, end, leave } = controlled({ atOnce: 1, waiting: 10 });
    const all = ["a", "b", "c"].map((name) => run(name));
    await setImmediate();
    leave("b");
    await end("a");
    await end("c");
    leave("b");
    await end("b");
    expect(await Promise.all(all)).toStrictEqual(["a", "b", "c"]);
    expect(begun).toStrictEqual(["a", "c", "b"]);
  });

  test("gives its place to who comes, and of it what was begun last", async () => {
    const { run, begun, end, leave } = controlled({ atOnce: 3, waiting: 0 });
    const all = ["a", "b", "c"].map((name) => run(name));
    await setImmediate();
    leave("a");
    leave("b");
    all.push(run("d"));
    await setImmediate();
    expect(begun).toStrictEqual(["a", "b", "c", "d"]);
    for (const name of ["a", "c", "d"]) await end(name);
    expect(await Promise.all(all)).toStrictEqual(["a", "b gave way", "c", "d"]);
  });

  test("gives its place to those who wait as soon as it is left, one for each", async () => {
    const { run, begun, end, leave } = controlled({ atOnce: 2, waiting: 2 });
    const all = ["a", "b", "c", "d"].map((name) => run(name));
    await setImmediate();
    leave("d");
    leave("a");
    leave("b");
    await setImmediate();
    expect(begun).toStrictEqual(["a", "b", "c"]);
    for (const name of ["b", "c", "d"]) await end(name);
    expect(await Promise.all(all)).toStrictEqual(["a gave way", "b", "c", "d"]);
  });

  test("leaves a full queue to what is waited for", async () => {
    const { run, begun, end, leave } = controlled({ atOnce: 1, waiting: 1 });
    const all = ["a", "b"].map((name) => run(name));
    await setImmediate();
    leave("b");
    all.push(run("c"));
    expect(await all[1]).toStrictEqual(busy(0));
    await end("a");
    await end("c");
    await Promise.all(all);
    expect(begun).toStrictEqual(["a", "c"]);
  });

  test("ends when memory is short, one by one", async () => {
    let endOne = () => false;
    const memory: MemoryWatch = {
      add(given) {
        endOne = given;
      },
    };
    const { run, end, leave } = controlled({ atOnce: 3, waiting: 0, memory });
    const all = ["a", "b", "c"].map((name) => run(name));
    await setImmediate();
    expect(endOne()).toBe(false);
    leave("a");
    leave("b");
    expect(endOne()).toBe(true);
    expect(await all[1]).toBe("b gave way");
    expect(endOne()).toBe(true);
    expect(endOne()).toBe(false);
    await end("c");
    expect(await Promise.all(all)).toStrictEqual(["a gave way", "b gave way", "c"]);
  });
});
