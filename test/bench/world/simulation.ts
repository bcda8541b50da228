// Time that passes only where the simulated world waits: what this machine does meanwhile takes none,
// so that every run gives the same figures however busy the machine is.

export interface Simulation {
  now(): number;
  until(atMs: number): Promise<void>;
  /** Something that this machine really does. One at a time, and time stands still. */
  really<Result>(work: () => Promise<Result>): Promise<Result>;
}

/** What comes of it, and how many milliseconds of the world passed. */
export async function simulate<Result>(
  story: (world: Simulation) => Promise<Result>,
): Promise<{ readonly result: Result; readonly tookMs: number }> {
  const waiting: { readonly atMs: number; readonly goOn: () => void }[] = [];
  let nowMs = 0;
  let real: Promise<unknown> = Promise.resolve();
  let reallyDoing = 0;
  let hasEnded = false;
  const world: Simulation = {
    now: () => nowMs,
    until: (atMs) =>
      new Promise((goOn) => {
        const behind = waiting.findLastIndex((other) => other.atMs <= atMs);
        waiting.splice(behind + 1, 0, { atMs: Math.max(atMs, nowMs), goOn });
      }),
    really(work) {
      reallyDoing += 1;
      const done = real.then(work).finally(() => {
        reallyDoing -= 1;
      });
      real = done.catch(() => undefined);
      return done;
    },
  };
  const told = story(world).finally(() => {
    hasEnded = true;
  });
  told.catch(() => undefined);
  while (!hasEnded) {
    // All that follows from what was waited for last has begun by then.
    await new Promise((resolve) => setImmediate(resolve));
    if (reallyDoing > 0) {
      await real;
      continue;
    }
    const next = waiting.shift();
    if (next === undefined) {
      if (hasEnded) break;
      throw new Error("the simulated world waits for nothing");
    }
    nowMs = next.atMs;
    next.goOn();
  }
  return { result: await told, tookMs: nowMs };
}
