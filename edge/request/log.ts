// What the Worker writes about itself: one JSON line per event, for Workers Logs and terminals alike.

import type { LogLine } from "./edge.ts";

export function writeLog({ cause, ...line }: LogLine): void {
  const described = cause === undefined ? {} : { cause: describe(cause, line.level === "error") };
  console.log(JSON.stringify({ ...line, ...described }));
}

/** A stack tells where a bug is; an origin that is down is none. */
function describe(cause: unknown, withStack: boolean): unknown {
  if (!(cause instanceof Error)) return String(cause);
  return {
    message: cause.message,
    ...(withStack && { stack: cause.stack }),
    ...(cause.cause !== undefined && { cause: describe(cause.cause, withStack) }),
  };
}
