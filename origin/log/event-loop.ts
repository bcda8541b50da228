// How late the event loop was: while something computes at one stretch, every client waits, and nothing
// else in the log says so.

import { monitorEventLoopDelay } from "node:perf_hooks";
import type { Log } from "./log.ts";

export interface EventLoopOptions {
  readonly log: Pick<Log, "debug" | "info">;
  /** Aborted when the origin goes down. */
  readonly signal: AbortSignal;
  readonly tellEveryMs?: number;
}

/** Fifty looks a second take a thousandth of a processor. */
const LOOK_EVERY_MS = 20;
const TELL_EVERY_MS = 10_000;
/** A person begins to notice. */
const LATE_MS = 200;

export function watchEventLoop({ log, signal, tellEveryMs }: EventLoopOptions): void {
  const delays = monitorEventLoopDelay({ resolution: LOOK_EVERY_MS });
  delays.enable();
  const tell = () => {
    const facts = { p99Ms: lateMs(delays.percentile(99)), maxMs: lateMs(delays.max) };
    if (facts.maxMs >= LATE_MS) log.info(facts, "the event loop was late");
    else log.debug(facts, "the event loop");
    delays.reset();
  };
  const timer = setInterval(tell, tellEveryMs ?? TELL_EVERY_MS).unref();
  const end = () => {
    clearInterval(timer);
    delays.disable();
  };
  signal.addEventListener("abort", end, { once: true });
}

/** What is measured is the time from one look to the next. */
function lateMs(nanoseconds: number): number {
  return Math.max(0, Math.round(nanoseconds / 1e6) - LOOK_EVERY_MS);
}
