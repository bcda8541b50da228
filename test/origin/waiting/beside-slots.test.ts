import { setImmediate } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { type BesideOptions, besideSlots } from "../../../origin/waiting/beside-slots.ts";
import { type RequestDemand, requestDemand } from "../../../origin/waiting/demand.ts";
import { createSlots } from "../../../origin/waiting/slots.ts";

/** Work in one slot that is long after a moment, and ends when the test says so. */
function controlled(options: Partial<BesideOptions> = {}) {
  const inTurn = createSlots({ atOnce: 1, waiting: 10 });
  const slots = besideSlots(inTurn, { afterMs: 1, atMost: 1, ...options });
  const demands = new Map<string, RequestDemand>();
  const begun: string[] = [];
  const ends = new Map<string, { resolve(): void; reject(error: Error): void }>();
  const run = async (name: string) => {
    const demand = requestDemand(name);
    demands.set(name, demand);
    const work = () => {
      begun.push(name);
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      ends.set(name, { resolve, reject });
      demand.signal.addEventListener("abort", () => resolve());
      return promise.then(() => (demand.signal.aborted ? "gave way" : name));
    };
    return await slots.run(work, demand.signal, demand);
  };
  const untilBegun = async (name: string) => {
    while (!begun.includes(name)) await setImmediate();
  };
  return {
    ...{ run, begun, untilBegun, end: (name: string) => ends.get(name) },
    leave: (name: string) => demands.get(name)?.leave(),
  };
}

describe("slots whose long work goes on beside them", { timeout: 10_000 }, () => {
  test("give the next its turn while it goes on, and its result when it ends", async () => {
    const { run, untilBegun, end } = controlled();
    const [long, next] = [run("long"), run("next")];
    await untilBegun("next");
    end("next")?.resolve();
    expect(await next).toBe("next");
    end("long")?.resolve();
    expect(await long).toBe("long");
  });

  test("tell of its failure, beside them or not", async () => {
    const { run, untilBegun, end } = controlled();
    const [long, next] = [run("long"), run("next")];
    await untilBegun("next");
    end("long")?.reject(new Error("of the long"));
    end("next")?.reject(new Error("of the next"));
    await expect(long).rejects.toThrow(/^of the long$/);
    await expect(next).rejects.toThrow(/^of the next$/);
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
    end("b")?.resolve();
    await untilBegun("c");
    for (const name of ["a", "c"]) end(name)?.resolve();
    for (const name of ["x", "y"]) later.end(name)?.resolve();
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
    expect(await long).toBe("gave way");
    expect(endOne()).toBe(false);
    end("next")?.resolve();
    expect(await next).toBe("next");
  });

  test("leave short work alone", async () => {
    const { run, begun, untilBegun, end } = controlled({ afterMs: 60_000 });
    const all = [run("a"), run("b")];
    await untilBegun("a");
    expect(begun).toStrictEqual(["a"]);
    end("a")?.resolve();
    await untilBegun("b");
    end("b")?.resolve();
    expect(await Promise.all(all)).toStrictEqual(["a", "b"]);
  });
});
