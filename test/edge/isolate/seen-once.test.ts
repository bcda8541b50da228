// What an isolate has seen asked for, and what it looked for in vain: bounded, and for a while.

import { expect, test } from "vitest";
import { createSeenOnce } from "../../../edge/isolate/seen-once.ts";
import { createVainTries } from "../../../edge/isolate/vain-tries.ts";

test("what was seen has the time it was noted with", () => {
  const seen = createSeenOnce();
  seen.note("a", 1000);
  expect([seen.firstMs("a"), seen.firstMs("b")]).toStrictEqual([1000, undefined]);
});

test("beyond ten thousand all that was seen is forgotten", () => {
  const seen = createSeenOnce();
  for (let index = 0; index <= 10_000; index++) seen.note(`key ${index}`, index);
  expect([seen.firstMs("key 0"), seen.firstMs("key 10000")]).toStrictEqual([undefined, 10_000]);
});

test("a vain try counts for ten seconds, for that name, among ten thousand", () => {
  const tries = createVainTries();
  tries.add("a", 0);
  expect(tries.has("a", 9_999)).toBe(true);
  expect(tries.has("a", 10_000)).toBe(false);
  expect(tries.has("b", 0)).toBe(false);
  for (let index = 0; index < 10_000; index++) tries.add(`name ${index}`, 0);
  expect(tries.has("a", 0)).toBe(false);
});
