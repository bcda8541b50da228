// When an origin that failed is passed over, and when somebody looks whether it is there again.

import { expect, test } from "vitest";
import { createOriginHealth } from "../../../edge/isolate/origin-health.ts";

const URL = "https://one.example";

test("an origin is trusted until it fails, and again once it is reached", () => {
  const health = createOriginHealth();
  expect(health.isTrusted(URL)).toBe(true);
  expect(health.failed(URL, 0)).toBe(5_000);
  expect(health.isTrusted(URL)).toBe(false);
  expect(health.isTrusted("https://two.example")).toBe(true);
  expect([health.reached(URL), health.reached(URL)]).toStrictEqual([true, false]);
  expect(health.isTrusted(URL)).toBe(true);
});

test("that it is passed over is told once, however many requests met it", () => {
  const health = createOriginHealth();
  expect([health.failed(URL, 0), health.failed(URL, 1)]).toStrictEqual([5_000, undefined]);
  expect([health.answered(URL), health.answered(URL)]).toStrictEqual([true, false]);
});

test("each failure more, without an answer in between, lasts twice as long, up to a minute", () => {
  const health = createOriginHealth();
  const rests = [0, 1, 2, 3, 4, 5].map((nowMs) => {
    const rest = health.failed(URL, nowMs);
    health.reached(URL);
    return rest;
  });
  expect(rests).toStrictEqual([5_000, 10_000, 20_000, 40_000, 60_000, 60_000]);
  health.answered(URL);
  expect(health.failed(URL, 6)).toBe(5_000);
});

test("one request at a time looks whether it is there, and none before its time", () => {
  const health = createOriginHealth();
  expect(health.claimTrial(URL, 0)).toBe(false);
  health.failed(URL, 1_000);
  const at = (nowMs: number) => health.claimTrial(URL, nowMs);
  expect([at(5_999), at(6_000), at(6_001), at(15_999), at(16_000)]).toStrictEqual([
    false,
    true,
    false,
    false,
    true,
  ]);
});

test("a clock that is set back keeps nobody from looking", () => {
  const health = createOriginHealth();
  health.failed(URL, 3_600_000);
  expect([health.claimTrial(URL, 0), health.claimTrial(URL, 1)]).toStrictEqual([true, false]);
});
