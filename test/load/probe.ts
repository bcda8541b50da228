// Asks for what is known at a steady pace, in a thread of its own, and tells how long answers took from
// the moment that each was due: what many clients at once do to one more.

import { Agent } from "node:http";
import { setTimeout as pause } from "node:timers/promises";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { ask } from "./clients.ts";
import type { Card } from "./deck.ts";

export interface Target {
  readonly what: string;
  readonly url: string;
  readonly card: Card;
}

export interface Latencies {
  readonly what: string;
  readonly count: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

export interface ProbeOptions {
  readonly targets: readonly Target[];
  /** Between two requests to one target. */
  readonly everyMs: number;
}

/** Until it is stopped, which gives what was measured. */
export function startProbe(options: ProbeOptions): { stop(): Promise<readonly Latencies[]> } {
  const worker = new Worker(new URL(import.meta.url), { workerData: options });
  const { promise, resolve, reject } = Promise.withResolvers<readonly Latencies[]>();
  worker.once("message", resolve);
  worker.once("error", reject);
  return {
    stop() {
      worker.postMessage("stop");
      return promise;
    },
  };
}

async function probe({ targets, everyMs }: ProbeOptions): Promise<void> {
  const stop = new AbortController();
  parentPort?.once("message", () => stop.abort());
  const measured = targets.map((target, place) =>
    measure(target, everyMs, (everyMs * place) / targets.length, stop.signal),
  );
  parentPort?.postMessage(await Promise.all(measured));
}

/** On as many connections as it takes to be in time. */
async function measure(
  { what, url, card }: Target,
  everyMs: number,
  afterMs: number,
  signal: AbortSignal,
): Promise<Latencies> {
  const agent = new Agent({ keepAlive: true });
  const took: number[] = [];
  const pending = new Set<Promise<void>>();
  const startedMs = performance.now() + afterMs;
  for (let number = 0; !signal.aborted; number++) {
    const dueMs = startedMs + number * everyMs;
    await pause(Math.max(0, dueMs - performance.now()));
    const one = ask(agent, url, card).then(({ status }) => {
      if (status !== 200) throw new Error(`${what}: HTTP ${status}`);
      took.push(performance.now() - dueMs);
    });
    pending.add(one);
    void one.finally(() => pending.delete(one));
  }
  await Promise.all(pending);
  agent.destroy();
  took.sort((a, b) => a - b);
  const at = (share: number) => took[Math.floor(share * (took.length - 1))] ?? Number.NaN;
  return { what, count: took.length, p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1) };
}

if (!isMainThread) await probe(workerData);
