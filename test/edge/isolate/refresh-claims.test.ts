// Who refreshes: one at a time, not at once again, and not for ever where nobody says it is done.

import assert from "node:assert/strict";
import { test } from "node:test";
import { createRefreshes } from "../../../edge/isolate/refresh-claims.ts";
import { NOW_MS } from "../controls.ts";

test("one refreshes a key at a time, and others other keys", () => {
  const refreshes = createRefreshes();
  assert(refreshes.claim("a", NOW_MS));
  assert(!refreshes.claim("a", NOW_MS));
  assert(refreshes.claim("b", NOW_MS));
});

test("a key is refreshed again a second after it was", () => {
  const refreshes = createRefreshes();
  refreshes.claim("a", NOW_MS);
  refreshes.release("a", NOW_MS + 500);
  assert(!refreshes.claim("a", NOW_MS + 1499));
  assert(refreshes.claim("a", NOW_MS + 1500));
});

test("a refresh that was cut short counts for two minutes", () => {
  const refreshes = createRefreshes();
  refreshes.claim("a", NOW_MS);
  assert(!refreshes.claim("a", NOW_MS + 119_999));
  assert(refreshes.claim("a", NOW_MS + 120_000));
});

test("ten thousand keys are remembered, and then none of them", () => {
  const refreshes = createRefreshes();
  for (let key = 0; key < 10_000; key += 1) assert(refreshes.claim(`${key}`, NOW_MS));
  assert(!refreshes.claim("0", NOW_MS));
  assert(refreshes.claim("one more", NOW_MS));
  assert(refreshes.claim("0", NOW_MS));
});
