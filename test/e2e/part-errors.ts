// What the origins and edges that this process started have logged as errors, or without any form.

import type { LogLine } from "./deployment.ts";

const ERROR_LEVEL = 50;
const errors: LogLine[] = [];

export function noteError(line: LogLine): void {
  const { level } = line;
  if (typeof level !== "number" || level >= ERROR_LEVEL) errors.push(line);
}

/** Those behind the first so many, in their order. */
export function errorsSince(count: number): readonly LogLine[] {
  return errors.slice(count);
}
