// Who of an isolate puts a blob into its location's cache, and looks at the copy there.

import { expect, test } from "vitest";
import { createFillClaims } from "../../../edge/isolate/fill-claims.ts";
import { digestOfText } from "../../registry/fixture.ts";

const [A, B] = [digestOfText("a"), digestOfText("b")];

test("one fills with a blob, and for a minute nobody else", () => {
  const fills = createFillClaims();
  expect([fills.claim(A, 0), fills.claim(A, 59_999), fills.claim(B, 0)]).toStrictEqual([
    ...[true, false, true],
  ]);
  expect(fills.claim(A, 60_000)).toBe(true);
});

test("one looks at the copy of a blob, and for a minute nobody else", () => {
  const fills = createFillClaims();
  const looks = [0, 59_999, 60_000].map((nowMs) => fills.claimLook(A, nowMs));
  expect(looks).toStrictEqual([true, false, true]);
  expect([fills.claimLook(B, 0), fills.claim(A, 0)]).toStrictEqual([true, true]);
});

test("a part is asked for again where another was within the minute", () => {
  const fills = createFillClaims();
  const asked = [0, 59_999, 120_000].map((nowMs) => fills.isAskedAgain(A, nowMs));
  expect(asked).toStrictEqual([false, true, false]);
  expect(fills.isAskedAgain(B, 0)).toBe(false);
  expect(fills.claim(A, 0)).toBe(true);
});

test("a clock that is set back holds no claim", () => {
  const fills = createFillClaims();
  const at = (nowMs: number) => [fills.claim(A, nowMs), fills.isAskedAgain(A, nowMs)];
  expect([at(3_600_000), at(0)]).toStrictEqual([
    [true, false],
    [true, false],
  ]);
});

test("beyond ten thousand blobs all claims are forgotten", () => {
  const fills = createFillClaims();
  fills.claim(A, 0);
  for (let index = 0; index < 10_000; index++) fills.claim(digestOfText(`blob ${index}`), 0);
  expect(fills.claim(A, 0)).toBe(true);
});
