// The Warning header: its form, and ages as people say them.

import assert from "node:assert/strict";
import { test } from "node:test";
import { describeAge, movedWarning, staleWarning } from "../../../registry/http/warning.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

const rows: readonly (readonly [ageMs: number, text: string])[] = [
  [0, "0 s"],
  [1499, "1 s"],
  [119_000, "119 s"],
  [2 * MINUTE_MS, "2 min"],
  [119 * MINUTE_MS, "119 min"],
  [2 * HOUR_MS, "2 h"],
  [47 * HOUR_MS, "47 h"],
  [48 * HOUR_MS, "2 days"],
  [1000 * 24 * HOUR_MS, "1000 days"],
];
for (const [ageMs, text] of rows) {
  test(`says ${text} of ${ageMs} ms`, () => assert.equal(describeAge(ageMs), text));
}

test("names the code for what stays true, and no agent", () => {
  assert.equal(staleWarning("so old"), '299 - "nixport: so old"');
  assert.match(movedWarning("latest"), /^299 - "nixport: latest has moved on; [^"]+"$/);
});
