import { describe, expect, test } from "vitest";
import {
  type Connection,
  createConnection,
  createLine,
  FIRST_WINDOW_BYTES,
  LAST_WINDOW_BYTES,
} from "./line.ts";

const RTT_MS = 100;
const SEGMENT_BYTES = 1460;
/** Of a line so wide that only round trips count. */
const WIDE = 1e12;

/** When the last of so many bytes arrives, which are all there at once. */
function lastArrival(connection: Connection, bytes: number, startedMs = 0): number {
  let nowMs = startedMs;
  for (let left = bytes; left > 0; left -= SEGMENT_BYTES) {
    const segment = Math.min(SEGMENT_BYTES, left);
    nowMs = connection.send(segment, connection.readyMs(segment, nowMs));
  }
  return nowMs + RTT_MS / 2;
}

describe("a connection that has just begun", () => {
  const rows = [
    [1, 0.5],
    [FIRST_WINDOW_BYTES, 0.5],
    [FIRST_WINDOW_BYTES + 1, 1.5],
    [3 * FIRST_WINDOW_BYTES, 1.5],
    [3 * FIRST_WINDOW_BYTES + 1, 2.5],
    [7 * FIRST_WINDOW_BYTES + 1, 3.5],
  ] as const;
  test.for(rows)("takes %i bytes to the other end within %d round trips", ([bytes, trips]) => {
    const connection = createConnection(createLine(WIDE), RTT_MS);
    expect(lastArrival(connection, bytes)).toBeCloseTo(trips * RTT_MS, 1);
  });
});

test("a connection that has carried much sends a window at once, and no more", () => {
  const connection = createConnection(createLine(WIDE), RTT_MS);
  const openedMs = lastArrival(connection, 4 * LAST_WINDOW_BYTES) + RTT_MS;
  const window = LAST_WINDOW_BYTES - SEGMENT_BYTES;
  expect(lastArrival(connection, window, openedMs) - openedMs).toBeCloseTo(RTT_MS / 2, 1);
  const more = lastArrival(connection, 2 * LAST_WINDOW_BYTES, openedMs) - openedMs;
  expect(more).toBeCloseTo(2.5 * RTT_MS, 1);
});

test("the connections of one line share its rate, and one that must wait holds up no other", () => {
  const line = createLine(1_000_000);
  const [one, other] = [createConnection(line, RTT_MS), createConnection(line, RTT_MS)];
  expect([one.send(10_000, 0), other.send(10_000, 0)]).toStrictEqual([10, 20]);
  expect(one.readyMs(10_000, 20)).toBe(10 + RTT_MS);
  expect(other.send(1000, 20)).toBe(21);
});
