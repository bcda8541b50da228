// Who refreshes: one at a time, not at once again, and not for ever where nobody says it is done.

import { expect, test } from "vitest";
import { createRefreshes } from "../../../edge/isolate/refresh-claims.ts";
import { NOW_MS } from "../controls.ts";

test("one refreshes a key at a time, and others other keys", () => {
  const refreshes = createRefreshes();
  expect(refreshes.claim("a", NOW_MS)).toBe(true);
  expect(refreshes.claim("a", NOW_MS)).toBe(false);
  expect(refreshes.claim("b", NOW_MS)).toBe(true);
});

test("a key is refreshed again a second after it was", () => {
  const refreshes = createRefreshes();
  refreshes.claim("a", NOW_MS);
  refreshes.release("a", NOW_MS + 500);
  expect(refreshes.claim("a", NOW_MS + 1499)).toBe(false);
  expect(refreshes.claim("a", NOW_MS + 1500)).toBe(true);
});

test("a refresh that was cut short counts for two minutes", () => {
  const refreshes = createRefreshes();
  refreshes.claim("a", NOW_MS);
  expect(refreshes.claim("a", NOW_MS + 119_999)).toBe(false);
  expect(refreshes.claim("a", NOW_MS + 120_000)).toBe(true);
});

test("neither counts for longer where the clock is set back", () => {
  const refreshes = createRefreshes();
  refreshes.claim("a", NOW_MS);
  refreshes.release("b", NOW_MS);
  for (const key of ["a", "b"]) expect(refreshes.claim(key, NOW_MS - 3_600_000)).toBe(true);
});

test("ten thousand keys are remembered, and then none of them", () => {
  const refreshes = createRefreshes();
  for (let key = 0; key < 10_000; key += 1) expect(refreshes.claim(`${key}`, NOW_MS)).toBe(true);
  expect(refreshes.claim("0", NOW_MS)).toBe(false);
  expect(refreshes.claim("one more", NOW_MS)).toBe(true);
  expect(refreshes.claim("0", NOW_MS)).toBe(true);
});
