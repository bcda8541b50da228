// The Warning header: its form, and ages as people say them.

import { expect, test } from "vitest";
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
test.for(rows)("says $1 of $0 ms", ([ageMs, text]) => expect(describeAge(ageMs)).toBe(text));

test("names the code for what stays true, and no agent", () => {
  expect(staleWarning("so old")).toBe('299 - "nixport: so old"');
  expect(movedWarning("latest")).toMatch(/^299 - "nixport: latest has moved on; [^"]+"$/);
});

test("says why an earlier revision answers, in what a header may hold", () => {
  const why = 'the set does not load: "a" \\ ‘b’ —\n  default.nix:3';
  expect(movedWarning("latest", why)).toMatch(
    /revision meanwhile: the set does not load: 'a' ' 'b' \? default\.nix:3"$/,
  );
  expect(staleWarning("x".repeat(1000)).length).toBeLessThan(500);
});
