// Holding a request: until its work is done, its client has left, or it has waited long enough.

import { assert, describe, expect, onTestFinished, test, vi } from "vitest";
import { type Hold, holdRequest, type Wait } from "../../../origin/waiting/hold-request.ts";

const LONG_MS = 60_000;
const BUSY = "busy";

/** Works that the test ends one by one, and what was said of one when nobody was held any more. */
function controlled() {
  const begun: Wait[] = [];
  const works: PromiseWithResolvers<string>[] = [];
  const { promise: late, resolve: onLate } = Promise.withResolvers<PromiseSettledResult<string>>();
  const isBusy = (result: string) => result === BUSY;
  let onBegun = Promise.withResolvers<void>();
  const work = (wait: Wait) => {
    const one = Promise.withResolvers<string>();
    begun.push(wait);
    works.push(one);
    onBegun.resolve();
    onBegun = Promise.withResolvers<void>();
    return one.promise;
  };
  return {
    late,
    hold: (hold: Partial<Hold>) =>
      holdRequest(
        work,
        {
          ...{ ms: LONG_MS, status: 503, client: "x", isAsynchronous: false },
          ...{ connection: new AbortController().signal, ...hold },
        },
        { isBusy, onLate, busyPauseMs: 1 },
      ),
    begun: () => begun.at(-1) ?? assert.fail("not begun"),
    next: () => onBegun.promise,
    finish: (result: string) => works.at(-1)?.resolve(result),
    fail: (error: Error) => works.at(-1)?.reject(error),
    times: () => works.length,
  };
}

/** Work that is never begun or ended must fail its test. */
const limit = { timeout: 10_000 };

describe("holdRequest", limit, () => {
  test("gives what came of the work, for which its client waits", async () => {
    const { hold, begun, finish } = controlled();
    const held = hold({});
    expect(begun().demand.clients()).toStrictEqual(["x"]);
    finish("done");
    expect(await held).toBe("done");
  });

  test("passes on why the work failed", async () => {
    const { hold, fail } = controlled();
    const held = hold({});
    fail(new Error("broken"));
    await expect(held).rejects.toThrow(/broken/);
  });

  test("lets work go on that its client has left, unless others need its place", async () => {
    const { hold, begun, late, finish } = controlled();
    const client = new AbortController();
    const held = hold({ connection: client.signal });
    const { demand } = begun();
    // Not while it is waited for.
    demand.giveWay();
    client.abort(new Error("left"));
    await expect(held).rejects.toThrow(/left/);
    expect([demand.isWanted(), demand.signal.aborted]).toStrictEqual([false, false]);
    finish("done");
    expect(await late).toStrictEqual({ status: "fulfilled", value: "done" });
    demand.giveWay();
    expect(demand.signal.aborted).toBe(true);
  });

  test("begins nothing for a client that has left", async () => {
    const { hold, times } = controlled();
    await expect(hold({ connection: AbortSignal.abort(new Error("left")) })).rejects.toThrow(
      /left/,
    );
    expect(times()).toBe(0);
  });

  test("waits for nobody where the client says that it does not", () => {
    const { hold, begun } = controlled();
    void hold({ isAsynchronous: true });
    expect(begun().demand.isWanted()).toBe(false);
  });

  test("says how far the work is when its time is over, and lets it go on", async () => {
    const { hold, begun, late, finish } = controlled();
    const client = new AbortController();
    const held = hold({ ms: 1, connection: client.signal, status: 429 });
    const { demand, onStage } = begun();
    onStage(() => ({ kind: "packing" }));
    const stage = { kind: "packing" };
    expect(await held).toStrictEqual({ kind: "still-under-way", stage, status: 429 });
    // Whoever was told to ask again is expected, whenever its connection ends.
    client.abort(new Error("left"));
    expect(demand.isWanted()).toBe(true);
    finish("done");
    expect(await late).toStrictEqual({ status: "fulfilled", value: "done" });
  });

  test("counts whoever was told to ask again as waiting, for half a minute", async () => {
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    const { hold, begun } = controlled();
    const held = hold({ ms: 1000 });
    await vi.advanceTimersByTimeAsync(1000);
    expect(await held).toMatchObject({ kind: "still-under-way" });
    const { demand } = begun();
    await vi.advanceTimersByTimeAsync(29_999);
    expect(demand.isWanted()).toBe(true);
    await vi.advanceTimersByTimeAsync(1);
    expect(demand.isWanted()).toBe(false);
  });

  test("tells of work that fails when nobody is held any more", async () => {
    const { hold, late, fail } = controlled();
    const stage = { kind: "looking-up" };
    expect(await hold({ ms: 1 })).toStrictEqual({ kind: "still-under-way", stage, status: 503 });
    fail(new Error("broken"));
    expect((await late).status).toBe("rejected");
  });

  test("tries again what was refused for want of room, until there is some", async () => {
    const { hold, next, finish, times } = controlled();
    const held = hold({});
    for (let tries = 1; tries < 3; tries++) {
      const again = next();
      finish(BUSY);
      await again;
    }
    finish("done");
    expect(await held).toBe("done");
    expect(times()).toBe(3);
  });

  test.each([
    ["its time is over", () => ({ ms: 1 }), BUSY],
    ["its client leaves", () => ({ connection: AbortSignal.timeout(5) }), "left"],
  ] as const)("says that there is no room when %s", async (_, how, told) => {
    const { hold, begun, finish, late } = controlled();
    const held = hold(how()).catch(() => "left" as const);
    let isTold = false;
    void held.finally(() => {
      isTold = true;
    });
    while (!isTold) {
      finish(BUSY);
      await Promise.race([held, new Promise(setImmediate)]);
    }
    expect(await held).toBe(told);
    void late.then(() => assert.fail("nothing is under way"));
    expect(begun().demand.isWanted()).toBe(told === BUSY);
  });
});
