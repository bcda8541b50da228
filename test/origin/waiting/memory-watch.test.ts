// What ends where memory is short.

import { afterEach, beforeEach, expect, onTestFinished, test, vi } from "vitest";
import { watchMemory } from "../../../origin/waiting/memory-watch.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test("one piece of work ends with each look while memory is short, whoever has it", () => {
  const stop = new AbortController();
  onTestFinished(() => stop.abort());
  const lines: unknown[] = [];
  const log = { warn: (facts: unknown) => lines.push(facts) };
  let availableBytes = 100;
  const memory = watchMemory({
    ...{ log, signal: stop.signal },
    ...{ machineBytes: 800, availableBytes: () => availableBytes },
  });
  const left = { first: 1, second: 2 };
  for (const name of ["first", "second"] as const) {
    memory.add(() => {
      if (left[name] === 0) return false;
      left[name] -= 1;
      return true;
    });
  }
  const after = (seconds: number) => {
    vi.advanceTimersByTime(1000 * seconds);
    return [left.first, left.second, lines.length];
  };
  expect(after(2)).toStrictEqual([1, 2, 0]);
  availableBytes = 99;
  expect(after(1)).toStrictEqual([0, 2, 1]);
  expect(after(1)).toStrictEqual([0, 1, 2]);
  availableBytes = 100;
  expect(after(1)).toStrictEqual([0, 1, 2]);
  availableBytes = 0;
  // What is waited for is never ended.
  expect(after(3)).toStrictEqual([0, 0, 3]);
  expect(lines[0]).toStrictEqual({ availableBytes: 99 });
  stop.abort();
  left.first = 1;
  expect(after(1)).toStrictEqual([1, 0, 3]);
});
