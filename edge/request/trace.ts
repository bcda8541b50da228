// What one request went through: which tier answered (RFC 9211) and how long each took. Written on
// every answer below /v2/, so that anyone can see from outside where an answer came from.

export type Tier = "memory" | "kv" | "r2" | "cache" | "composed" | "package-index";
export type TimedStep = "kv" | "r2" | "cache" | "compose" | "origin";

export interface Trace {
  hit(tier: Tier): void;
  /** The request goes on to the origin. */
  miss(): void;
  /** Another request's answer of the origin is this one's too. */
  collapsed(): void;
  time<Result>(step: TimedStep, work: () => Promise<Result>): Promise<Result>;
  /** For an answer that is made with them, which is cheaper than to add them to one. */
  headers(): Readonly<Record<string, string>>;
  /** Whether the answer was made with them. */
  isGiven(): boolean;
  writeTo(headers: Headers): void;
  /** The tier that answered; undefined where none has. */
  readonly tier: () => Tier | undefined;
}

/** `clock` in milliseconds; in a Worker it only moves with I/O, which is what is measured here. */
export function createTrace(clock: () => number): Trace {
  const startedMs = clock();
  const durationsMs = new Map<TimedStep, number>();
  // Neither asked for nor kept in a cache: the ping, and what the parser answers.
  let status = "nixport; fwd=bypass";
  let answered: Tier | undefined;
  let isGiven = false;

  function told() {
    let timing = "";
    for (const [step, durationMs] of durationsMs)
      timing += `${step};dur=${durationMs.toFixed(1)}, `;
    timing += `total;dur=${(clock() - startedMs).toFixed(1)}`;
    return { "Cache-Status": status, "Server-Timing": timing };
  }

  return {
    tier: () => answered,
    hit(tier) {
      answered = tier;
      status = `nixport; hit; detail=${tier}`;
    },
    miss() {
      answered = undefined;
      status = "nixport; fwd=miss";
    },
    collapsed() {
      status = "nixport; fwd=miss; collapsed";
    },
    async time(step, work) {
      const beganMs = clock();
      try {
        return await work();
      } finally {
        durationsMs.set(step, (durationsMs.get(step) ?? 0) + clock() - beganMs);
      }
    },
    headers() {
      isGiven = true;
      return told();
    },
    isGiven: () => isGiven,
    writeTo(headers) {
      for (const [name, value] of Object.entries(told())) headers.set(name, value);
    },
  };
}
