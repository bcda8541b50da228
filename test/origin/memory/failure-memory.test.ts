// How long a failure is told again.

import { expect, test } from "vitest";
import { rememberFailures } from "../../../origin/memory/failure-memory.ts";

function memoryAt(forMs: number) {
  const clock = { nowMs: 1000 };
  return { clock, memory: rememberFailures<string>({ forMs, now: () => clock.nowMs }) };
}

test("a failure is told again until its time is over, and from anew when it happens again", () => {
  const { clock, memory } = memoryAt(60);
  memory.store("a", "first");
  clock.nowMs += 59;
  expect(memory.lookup("a")).toBe("first");
  expect(memory.lookup("b")).toBeUndefined();
  clock.nowMs += 1;
  expect(memory.lookup("a")).toBeUndefined();
  memory.store("a", "second");
  clock.nowMs += 59;
  expect(memory.lookup("a")).toBe("second");
});

test("no failure is told again where the memory is of no time", () => {
  const { memory } = memoryAt(0);
  memory.store("a", "first");
  expect(memory.lookup("a")).toBeUndefined();
});
