// Where a test fails, what the programs that it started said is wrong: an answer of 500 says no more than
// that, and where it happened once in a thousand runs nobody can ask again.

import { afterEach } from "vitest";
import { errorsSince } from "./e2e/part-errors.ts";

const MAX_LINES = 40;
let seen = 0;

afterEach(({ task }) => {
  const errors = errorsSince(seen);
  seen += errors.length;
  if (task.result?.state !== "fail") return;
  for (const line of errors.slice(-MAX_LINES)) console.error(JSON.stringify(line));
});
