// Bytes are compared as bytes: vitest goes through them one by one, which takes seconds for some
// megabytes, and meanwhile the connection that a test would use next is closed at its other end.

import { expect } from "vitest";

expect.addEqualityTesters([
  (a: unknown, b: unknown) => {
    if (!(a instanceof Uint8Array && b instanceof Uint8Array)) return undefined;
    // Whether a Buffer may stand for an array is each matcher's own matter.
    return a.constructor === b.constructor ? Buffer.compare(a, b) === 0 : undefined;
  },
]);
