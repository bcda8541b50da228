// JSON that may be none.

import assert from "node:assert/strict";
import { test } from "node:test";
import { parseJson } from "../../../registry/http/json.ts";

const rows: readonly (readonly [text: string, json: unknown])[] = [
  ['{"a":[1,null]}', { a: [1, null] }],
  ["null", null],
  ["", undefined],
  ["{", undefined],
  ["<html>", undefined],
];
for (const [text, json] of rows) {
  test(`reads ${JSON.stringify(text)} as ${JSON.stringify(json)}, as text and as bytes`, () => {
    assert.deepEqual(parseJson(text), json);
    assert.deepEqual(parseJson(new TextEncoder().encode(text)), json);
  });
}

test("reads bytes that are no text as nothing", () => {
  assert.equal(parseJson(Uint8Array.of(0xff, 0x00)), undefined);
});
