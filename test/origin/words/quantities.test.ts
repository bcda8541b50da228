// Durations and sizes as people write them.

import { expect, test } from "vitest";
import { parseByteCount, parseDuration } from "../../../origin/words/quantities.ts";

test.for([
  ["30d", 2_592_000_000],
  ["12h", 43_200_000],
  ["90m", 5_400_000],
  ["5s", 5000],
  ["0", 0],
  ["0d", 0],
  ["30", undefined],
  ["1.5d", undefined],
  ["-1d", undefined],
  ["d", undefined],
  ["", undefined],
] as const)("%s lasts %s ms", ([text, ms]) => {
  expect(parseDuration(text)).toBe(ms);
});

test.for([
  ["0", 0],
  ["5000", 5000],
  ["5B", 5],
  ["50GB", 50e9],
  ["10GiB", 10 * 1024 ** 3],
  ["2kB", 2000],
  ["1TiB", 1024 ** 4],
  ["5 GB", undefined],
  ["5G", undefined],
  ["5gb", undefined],
  ["99999999999TB", undefined],
  ["", undefined],
] as const)("%s are %s bytes", ([text, bytes]) => {
  expect(parseByteCount(text)).toBe(bytes);
});
