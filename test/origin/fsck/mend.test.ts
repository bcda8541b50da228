// Bytes of which one was changed: found again, whichever it was and whatever it became.

import { hash } from "node:crypto";
import { expect, test } from "vitest";
import { mendOneByte } from "../../../origin/fsck/mend.ts";
import { patternOf } from "../../contract/blob-store.ts";

const sha256 = (bytes: Uint8Array) => hash("sha256", bytes, "hex");

test.for([
  [0, 1],
  [0, 0xff],
  [150, 0x20],
  [299, 0x55],
] as const)("byte %i changed by %i is mended", ([place, change]) => {
  const whole = patternOf(300);
  const damaged = Buffer.from(whole);
  damaged[place] = (damaged[place] ?? 0) ^ change;
  const mended = mendOneByte(damaged, (bytes) => sha256(bytes) === sha256(whole));
  expect(Buffer.from(mended ?? [])).toStrictEqual(whole);
});

test.for([
  ["two changed bytes", (bytes: Buffer) => bytes.fill(7, 1, 3)],
  ["an end that is gone", (bytes: Buffer) => bytes.subarray(0, 200)],
  ["nothing at all", () => Buffer.alloc(0)],
] as const)("%s are not", ([, damage]) => {
  const right = sha256(patternOf(300));
  expect(mendOneByte(damage(patternOf(300)), (bytes) => sha256(bytes) === right)).toBeUndefined();
});

test("what would take minutes is not tried", () => {
  let tries = 0;
  const isRight = () => {
    tries += 1;
    return false;
  };
  expect(mendOneByte(patternOf(1 << 20), isRight)).toBeUndefined();
  expect(tries).toBe(0);
});
