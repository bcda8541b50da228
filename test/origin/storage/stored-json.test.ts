// JSON in the storage: whatever byte of it is changed, it is absent and not another value.

import { expect, test } from "vitest";
import { hasChecksum, parseStoredJson, storedJson } from "../../../origin/storage/stored-json.ts";

const VALUE = { text: "ünïcode\n", count: 12, list: [true, null], nested: { a: "b" } };

test("what was stored is read", () => {
  expect(parseStoredJson(storedJson(VALUE))).toStrictEqual(VALUE);
  expect(hasChecksum(storedJson(VALUE))).toBe(true);
});

test("a change of any bit is noticed", () => {
  const bytes = storedJson(VALUE);
  const read = Array.from({ length: bytes.length * 8 }, (_, bit) => {
    const flipped = Buffer.from(bytes);
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    return parseStoredJson(flipped);
  });
  expect(read.filter((value) => value !== undefined)).toStrictEqual([]);
});

test.for([0, 1, 30, 64, 65, 66])("what was cut short after %i bytes is noticed", (length) => {
  expect(parseStoredJson(storedJson(VALUE).subarray(0, length))).toBeUndefined();
});

test("what versions without checksums stored is read", () => {
  const bytes = Buffer.from(JSON.stringify(VALUE));
  expect(parseStoredJson(bytes)).toStrictEqual(VALUE);
  expect(hasChecksum(bytes)).toBe(false);
});
