// JSON that may be none.

import { expect, test } from "vitest";
import { parseJson } from "../../../registry/http/json.ts";

const rows: readonly (readonly [text: string, json: unknown])[] = [
  ['{"a":[1,null]}', { a: [1, null] }],
  ["null", null],
  ["", undefined],
  ["{", undefined],
  ["<html>", undefined],
];
test.for(rows)("reads %j as %j, as text and as bytes", ([text, json]) => {
  expect(parseJson(text)).toStrictEqual(json);
  expect(parseJson(new TextEncoder().encode(text))).toStrictEqual(json);
});

test("reads bytes that are no text as nothing", () => {
  expect(parseJson(Uint8Array.of(0xff, 0x00))).toBeUndefined();
});
