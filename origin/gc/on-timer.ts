// Collections of an origin that serves, by itself now and then. Others of the same storage may do so too: what
// one has taken away the next does not find.

import type { Config } from "../configuration/config.ts";
import type { Log } from "../log/log.ts";
import { type CollectOptions, collect } from "./collect.ts";
import { DEFAULT_GRACE_MS } from "./rules.ts";

export interface TimedCollector {
  /** Resolves when nothing is being taken away any more. */
  settled(): Promise<void>;
}

export interface TimedCollectorOptions
  extends Pick<CollectOptions, "store" | "edge" | "signal">,
    Pick<Config, "gcEveryMs" | "gcKeepMs" | "gcMaxBytes"> {
  readonly now: () => number;
  readonly log: Pick<Log, "info" | "warn">;
}

/** So that one that is restarted all the time collects too, and no start waits for it. */
const FIRST_AFTER_MS = 600_000;

export function collectOnTimer(options: TimedCollectorOptions): TimedCollector {
  const { gcEveryMs, gcKeepMs, gcMaxBytes, now, log, signal } = options;
  let running = Promise.resolve();

  async function run(): Promise<void> {
    const startedMs = now();
    const limits = { keepMs: gcKeepMs, graceMs: DEFAULT_GRACE_MS, maxBytes: gcMaxBytes };
    const rules = { ...limits, nowMs: startedMs };
    try {
      const more = { rules, isDryRun: false, onSwept: () => {} };
      const { images, bytes } = await collect({ ...options, ...more });
      log.info({ images, ...bytes, ms: now() - startedMs }, "took away what nobody needs");
    } catch (error) {
      if (!signal.aborted) log.warn({ err: error }, "what nobody needs could not be taken away");
    }
  }

  function schedule(afterMs: number, everyMs: number): void {
    const timer = setTimeout(() => {
      running = run().then(() => {
        if (!signal.aborted) schedule(everyMs, everyMs);
      });
    }, afterMs).unref();
    signal.addEventListener("abort", () => clearTimeout(timer), { once: true });
  }

  if (gcEveryMs !== null) schedule(Math.min(gcEveryMs, FIRST_AFTER_MS), gcEveryMs);
  return { settled: () => running };
}
