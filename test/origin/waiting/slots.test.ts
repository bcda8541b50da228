// Turns: so many at once, so many waiting, in the order they came.

import { describe, expect, test } from "vitest";
import { createSlots } from "../../../origin/waiting/slots.ts";

const never = AbortSignal.any([]);

/** Work that says when it begins and ends when the test says so. */
function controlled(atOnce: number, waiting: number) {
  const slots = createSlots({ atOnce, waiting });
  const begun: string[] = [];
  const ends = new Map<string, { resolve(): void; reject(error: Error): void }>();
  const run = (name: string, signal = never) =>
    slots.run(() => {
      begun.push(name);
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      ends.set(name, { resolve, reject });
      return promise.then(() => name);
    }, signal);
  return { run, begun, end: (name: string) => ends.get(name) };
}

/** Work that is never begun or ended must fail its test. */
const limit = { timeout: 10_000 };

describe("slots", limit, () => {
  test("run so many at once, and the others in the order they came", async () => {
    const { run, begun, end } = controlled(2, 10);
    const all = ["a", "b", "c", "d"].map((name) => run(name));
    expect(begun).toStrictEqual(["a", "b"]);
    end("b")?.resolve();
    await all[1];
    expect(begun).toStrictEqual(["a", "b", "c"]);
    end("a")?.resolve();
    await all[0];
    end("d")?.resolve();
    end("c")?.resolve();
    expect(await Promise.all(all)).toStrictEqual(["a", "b", "c", "d"]);
  });

  test("refuse whoever comes when too many wait, and nobody later", async () => {
    const { run, begun, end } = controlled(1, 1);
    const first = run("a");
    const second = run("b");
    expect(await run("c")).toStrictEqual({ kind: "busy", waiting: 1 });
    end("a")?.resolve();
    await first;
    const third = run("d");
    end("b")?.resolve();
    await second;
    end("d")?.resolve();
    expect(await third).toBe("d");
    expect(begun).toStrictEqual(["a", "b", "d"]);
  });

  test("keep no waiting room where none is wanted", async () => {
    const { run, end } = controlled(1, 0);
    const first = run("a");
    expect(await run("b")).toStrictEqual({ kind: "busy", waiting: 0 });
    end("a")?.resolve();
    await first;
  });

  test("forget whoever leaves before its turn", async () => {
    const { run, begun, end } = controlled(1, 1);
    const first = run("a");
    const leaver = new AbortController();
    const second = run("b", leaver.signal);
    leaver.abort();
    expect(await second).toStrictEqual({ kind: "cancelled" });
    const third = run("c");
    end("a")?.resolve();
    await first;
    end("c")?.resolve();
    await third;
    expect(begun).toStrictEqual(["a", "c"]);
    expect(await run("d", leaver.signal)).toStrictEqual({ kind: "cancelled" });
  });

  test("are free again after work that failed", async () => {
    const { run, end } = controlled(1, 1);
    const first = run("a");
    end("a")?.reject(new Error("failed"));
    await expect(first).rejects.toThrow(/failed/);
    const second = run("b");
    end("b")?.resolve();
    expect(await second).toBe("b");
  });
});
