// The event loop of these tests is held up on purpose.

import { EventEmitter, on } from "node:events";
import { pino } from "pino";
import { expect, onTestFinished, test } from "vitest";
import { watchEventLoop } from "../../../origin/log/event-loop.ts";

const HELD_MS = 400;

test("an event loop that something has held up is told of, with for how long", async () => {
  const lines = new EventEmitter();
  const write = (text: string) => void lines.emit("line", JSON.parse(text));
  const stop = new AbortController();
  onTestFinished(() => stop.abort());
  const log = pino({ level: "debug" }, { write });
  watchEventLoop({ log, signal: stop.signal, tellEveryMs: 100 });
  // Not right after a line: what Node measures begins anew with the look that follows it.
  setTimeout(holdUp, 150);
  for await (const [{ msg, level, maxMs }] of on(lines, "line")) {
    if (maxMs < HELD_MS / 2) continue;
    expect([msg, level]).toStrictEqual(["the event loop was late", 30]);
    // To within the pace of looking.
    expect(maxMs).toBeGreaterThan(HELD_MS - 50);
    break;
  }
});

function holdUp(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, HELD_MS);
}
