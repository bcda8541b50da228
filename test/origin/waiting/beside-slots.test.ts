// Long work that leaves its turn to others.

import { describe, expect, test } from "vitest";
import { type BesideOptions, besideSlots } from "../../../origin/waiting/beside-slots.ts";
import { createSlots } from "../../../origin/waiting/slots.ts";
import { controlledWork } from "./controlled.ts";

/** Work in one slot that is long after a moment. */
function controlled(options: Partial<BesideOptions> = {}) {
  const inTurn = createSlots({ atOnce: 1, waiting: 10 });
  return controlledWork(besideSlots(inTurn, { afterMs: 1, atMost: 1, ...options }));
}

describe("slots whose long work goes on beside them", { timeout: 10_000 }, () => {
  test("give the next its turn while it goes on, and its result when it ends", async () => {
    const { run, untilBegun, end } = controlled();
    const [long, next] = [run("long"), run("next")];
    await untilBegun("next");
    await end("next");
    expect(await next).toBe("next");
    await end("long");
    expect(await long).toBe("long");
  });

  test("tell of its failure, beside them or not", async () => {
    const { run, untilBegun, fail } = controlled();
    const [long, next] = [run("long"), run("next")];
    await untilBegun("next");
    fail("long");
    fail("next");
    await expect(long).rejects.toThrow(/^long failed$/);
    await expect(next).rejects.toThrow(/^next failed$/);
  });

  test("keep what is one too many in its turn, until there is room again", async () => {
    const { run, begun, untilBegun, end } = controlled();
    const all = [run("a"), run("b"), run("c")];
    await untilBegun("b");
    // What began after it has been long enough by then.
    const later = controlled();
    const others = [later.run("x"), later.run("y")];
    await later.untilBegun("y");
    expect(begun).toStrictEqual(["a", "b"]);
    await end("b");
    await untilBegun("c");
    for (const name of ["a", "c"]) await end(name);
    for (const name of ["x", "y"]) await later.end(name);
    await Promise.all(others);
    expect(await Promise.all(all)).toStrictEqual(["a", "b", "c"]);
  });

  test("have what nobody waits for end where memory is short", async () => {
    const watched: (() => boolean)[] = [];
    const { run, untilBegun, end, leave } = controlled({ memory: { add: (f) => watched.push(f) } });
    const endOne = () => watched.some((each) => each());
    const [long, next] = [run("long"), run("next")];
    await untilBegun("next");
    expect(endOne()).toBe(false);
    leave("long");
    expect(endOne()).toBe(true);
    expect(await long).toBe("long gave way");
    expect(endOne()).toBe(false);
    await end("next");
    expect(await next).toBe("next");
  });

  test("leave short work alone", async () => {
    const { run, begun, untilBegun, end } = controlled({ afterMs: 60_000 });
    const all = [run("a"), run("b")];
    await untilBegun("a");
    expect(begun).toStrictEqual(["a"]);
    await end("a");
    await untilBegun("b");
    await end("b");
    expect(await Promise.all(all)).toStrictEqual(["a", "b"]);
  });
});
