// What a request says of waiting.

import { expect, test } from "vitest";
import { answeredWithin, preferenceOf, RESPOND_ASYNC } from "../../../registry/http/prefer.ts";

const ROWS: readonly (readonly [
  said: string,
  isAsynchronous: boolean,
  waitSeconds: number | undefined,
])[] = [
  [RESPOND_ASYNC.Prefer, true, undefined],
  [answeredWithin(23).Prefer, false, 23],
  ["respond-async, wait=10", true, 10],
  ["Wait = 10 , Respond-Async; foo", true, 10],
  ["handling=lenient, wait=5", false, 5],
  ["", false, undefined],
  ["wait", false, undefined],
  ["wait=soon", false, undefined],
  ["wait=1234567", false, undefined],
  ["await=5", false, undefined],
  ["not-respond-async", false, undefined],
];

test.each(ROWS)("reads %j", (said, isAsynchronous, waitSeconds) => {
  const headers = new Headers({ Prefer: said });
  expect(preferenceOf(headers)).toStrictEqual({ isAsynchronous, waitSeconds });
});
