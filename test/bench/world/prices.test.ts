import { expect, test } from "vitest";
import { dollarsOf } from "./prices.ts";
import { NO_OPERATIONS } from "./told.ts";

const rows = [
  [{ requests: 20 }, 6],
  [{ kvReads: 2, r2Reads: 10 }, 4.6],
  [{ kvWrites: 1, r2Writes: 2 }, 14],
  [{ cacheReads: 20, cacheWrites: 20, originRequests: 20 }, 0],
] as const;
test.for(rows)("a million times %j costs $%d", ([counted, dollars]) => {
  expect(dollarsOf({ ...NO_OPERATIONS, ...counted })).toBeCloseTo(dollars, 9);
});
