// Networks that are refused for a while.

import { expect, test } from "vitest";
import { createRefusals } from "../../../edge/isolate/refusals.ts";

test("lasts for a minute, for that network", () => {
  const refusals = createRefusals();
  refusals.add("192.0.2.1", 1000);
  expect(refusals.has("192.0.2.1", 60_999)).toBe(true);
  expect(refusals.has("192.0.2.1", 61_000)).toBe(false);
  expect(refusals.has("192.0.2.2", 1000)).toBe(false);
});

test("lasts no longer where the clock is set back", () => {
  const refusals = createRefusals();
  refusals.add("192.0.2.1", 3_600_000);
  expect(refusals.has("192.0.2.1", 1000)).toBe(false);
});

test("is bounded: beyond ten thousand networks all are let ask once more", () => {
  const refusals = createRefusals();
  for (let index = 0; index <= 10_000; index++) refusals.add(`network ${index}`, 1);
  expect(refusals.has("network 0", 1)).toBe(false);
  expect(refusals.has("network 10000", 1)).toBe(true);
});
