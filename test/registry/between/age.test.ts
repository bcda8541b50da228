// How old what was noted is, whatever becomes of the clock.

import { expect, test } from "vitest";
import { isYounger } from "../../../registry/between/age.ts";

test.for([
  ["noted just now", 5000, true],
  ["within its life", 5999, true],
  ["at its end", 6000, false],
  ["after the clock was set forward", 3_605_000, false],
  ["after it was set back", 4999, false],
] as const)("counts as %s", ([, nowMs, expected]) => {
  expect(isYounger(5000, nowMs, 1000)).toBe(expected);
});
