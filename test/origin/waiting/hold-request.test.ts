// Holding a request: until its work is done, its client has left, or it has waited long enough.

import { assert, describe, expect, test } from "vitest";
import { holdRequest, type Wait } from "../../../origin/waiting/hold-request.ts";

const LONG_MS = 60_000;

/** Work that the test ends, and what was said of it when nobody was held any more. */
function controlled() {
  const { promise: begun, resolve: begin } = Promise.withResolvers<Wait>();
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const { promise: late, resolve: onLate } = Promise.withResolvers<PromiseSettledResult<string>>();
  const work = (wait: Wait) => {
    begin(wait);
    wait.signal.addEventListener("abort", () => reject(wait.signal.reason));
    return promise;
  };
  return { work, begun, late, onLate, finish: resolve, fail: reject };
}

/** Work that is never begun or ended must fail its test. */
const limit = { timeout: 10_000 };

describe("holdRequest", limit, () => {
  test("gives what came of the work", async () => {
    const { work, onLate, finish } = controlled();
    const client = new AbortController().signal;
    const held = holdRequest(work, { holdMs: LONG_MS, client, onLate });
    finish("done");
    expect(await held).toBe("done");
  });

  test("passes on why the work failed", async () => {
    const { work, onLate, fail } = controlled();
    const held = holdRequest(work, { holdMs: LONG_MS, client: null, onLate });
    fail(new Error("broken"));
    await expect(held).rejects.toThrow(/broken/);
  });

  test("ends the work of a client that leaves, with its reason", async () => {
    const { work, begun, onLate } = controlled();
    const client = new AbortController();
    const held = holdRequest(work, { holdMs: LONG_MS, client: client.signal, onLate });
    const { signal } = await begun;
    client.abort(new Error("left"));
    await expect(held).rejects.toThrow(/left/);
    assert(signal.aborted);
  });

  test("begins nothing for a client that has left", async () => {
    let isBegun = false;
    const work = async () => {
      isBegun = true;
    };
    const client = AbortSignal.abort(new Error("left"));
    await expect(holdRequest(work, { holdMs: LONG_MS, client, onLate: () => {} })).rejects.toThrow(
      /left/,
    );
    expect(isBegun).toBe(false);
  });

  test("says how far the work is when its time is over, and lets it go on", async () => {
    const { work, begun, late, onLate, finish } = controlled();
    const client = new AbortController();
    const held = holdRequest(work, { holdMs: 1, client: client.signal, onLate });
    const { signal, onStage } = await begun;
    onStage(() => ({ kind: "packing" }));
    expect(await held).toStrictEqual({ kind: "still-under-way", stage: { kind: "packing" } });
    // Whoever was answered has not left, whenever its connection ends.
    client.abort(new Error("left"));
    expect(signal.aborted).toBe(false);
    finish("done");
    expect(await late).toStrictEqual({ status: "fulfilled", value: "done" });
  });

  test("tells of work that fails when nobody is held any more", async () => {
    const { work, late, onLate, fail } = controlled();
    const held = await holdRequest(work, { holdMs: 1, client: null, onLate });
    expect(held).toStrictEqual({ kind: "still-under-way", stage: { kind: "looking-up" } });
    fail(new Error("broken"));
    expect((await late).status).toBe("rejected");
  });
});
