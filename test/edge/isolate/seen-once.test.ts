// What an isolate has seen asked for, and what it looked for in vain: bounded, and for a while.

import { expect, test } from "vitest";
import { createSeenOnce, MAX_MARKS } from "../../../edge/isolate/seen-once.ts";
import { createVainTries } from "../../../edge/isolate/vain-tries.ts";

test("what was seen has the time it was noted with", () => {
  const seen = createSeenOnce();
  seen.note("a", 1000);
  expect([seen.firstMs("a"), seen.firstMs("b")]).toStrictEqual([1000, undefined]);
});

test("beyond what there is room for the oldest is forgotten", () => {
  const seen = createSeenOnce();
  seen.note("first", 0);
  for (let index = 1; index < MAX_MARKS; index++) seen.note(`mark ${index}`, index);
  // Noted again, so no longer the oldest.
  seen.note("first", 1);
  seen.note("last", 2);
  const known = ["first", "mark 1", "mark 2", "last"].map((mark) => seen.firstMs(mark));
  expect(known).toStrictEqual([1, undefined, 2, 2]);
  expect([...seen.marks()].length).toBe(MAX_MARKS);
});

test("one at a time, and one a second, looks what others have seen", () => {
  const seen = createSeenOnce();
  const times = [5000, 5000, 5999, 6000, 1000, 1999];
  const claims = times.map((nowMs) => seen.claimExchange(nowMs));
  // The clock was set back before the fifth.
  expect(claims).toStrictEqual([true, false, false, true, true, false]);
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
