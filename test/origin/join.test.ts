// Joined work, and the bounded memory of values.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { joinBatches } from "../../origin/join.ts";
import { recentValues } from "../../origin/recent.ts";

interface Run {
  readonly items: readonly string[];
  readonly resolve: (results: readonly string[]) => void;
  readonly reject: (error: Error) => void;
}

/** Work that ends when the test says so. Items of one first letter are the same work. */
function controlled() {
  const runs: Run[] = [];
  const joined = joinBatches<string, string>(
    (item) => item[0] ?? "",
    (items) => {
      const { promise, resolve, reject } = Promise.withResolvers<readonly string[]>();
      runs.push({ items, resolve, reject });
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

describe("joinBatches", () => {
  test("does the items of one call in one run, each once", async () => {
    const { joined, runs, finish } = controlled();
    const results = joined.all(["a1", "b1", "a2"]);
    finish(0);
    assert.deepEqual(await results, ["a2!", "b1!", "a2!"]);
    assert.equal(runs.length, 1);
    assert.equal(runs[0]?.items.length, 2);
  });

  test("waits for items that are under way and starts only the others", async () => {
    const { joined, runs, finish } = controlled();
    const first = joined.all(["a", "b"]);
    const second = joined.all(["b", "c"]);
    const third = joined.all(["c", "a"]);
    assert.deepEqual(
      runs.map(({ items }) => items),
      [["a", "b"], ["c"]],
    );
    finish(1);
    finish(0);
    assert.deepEqual(await Promise.all([first, second, third]), [
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
    assert.deepEqual(await fast, ["b!"]);
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
    assert.equal(runs.length, 3);
  });

  test("rejects for everyone who waits, and starts anew for the next", async () => {
    const { joined, runs, finish } = controlled();
    const waiting = [joined.all(["a", "b"]), joined.all(["b"]), joined.all(["a", "c"])];
    runs[0]?.reject(new Error("no"));
    for (const each of waiting) await assert.rejects(each, /no/);
    finish(1);
    const again = joined.all(["a", "c"]);
    finish(2);
    assert.deepEqual(await again, ["a!", "c!"]);
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
    await assert.rejects(joined.all(["a"]), /not begun/);
    isBroken = false;
    assert.deepEqual(await joined.all(["a"]), ["a"]);
  });

  test("rejects when the work gives fewer results than items", async () => {
    const { joined, runs } = controlled();
    const results = joined.all(["a", "b"]);
    runs[0]?.resolve(["a!"]);
    await assert.rejects(results, /no result for b/);
  });

  test("starts nothing for no items", async () => {
    const { joined, runs } = controlled();
    assert.deepEqual(await joined.all([]), []);
    assert.equal(runs.length, 0);
  });
});

describe("recentValues", () => {
  test("gives back what was stored, and the newest value of a key", () => {
    const values = recentValues<number>(2);
    assert.equal(values.lookup("a"), undefined);
    values.store("a", 1);
    values.store("a", 2);
    assert.equal(values.lookup("a"), 2);
  });

  test("lets go of the value that was used longest ago", () => {
    const values = recentValues<number>(2);
    values.store("a", 1);
    values.store("b", 2);
    values.lookup("a");
    values.store("c", 3);
    assert.deepEqual(["a", "b", "c"].map(values.lookup), [1, undefined, 3]);
  });

  test("keeps both when one of them is stored again", () => {
    const values = recentValues<number>(2);
    values.store("a", 1);
    values.store("b", 2);
    values.store("a", 3);
    values.store("b", 4);
    assert.deepEqual(["a", "b"].map(values.lookup), [3, 4]);
  });
});
