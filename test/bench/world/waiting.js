// The time of one request inside the Worker, as it passes in the simulated world: each operation is done
// at once, and then waits as long as its tier takes; what is waited for goes on in the order of time.
// JavaScript, because it runs in workerd.

/** A timer, such as the patience with a tier, runs out only where nothing real goes on any more. */
const QUIET_MS = 3000;
const startTimer = globalThis.setTimeout;

let nowMs = 0;
let waiting = [];
let reallyDoing = 0;
let isAwake = false;

/** A new request: nothing of the last one counts. */
export function beginTime() {
  nowMs = 0;
  waiting = [];
  reallyDoing = 0;
  // The runtime has ended what the last one still waited for.
  isAwake = false;
}

export const passedMs = () => nowMs;

/** `work` for real, and `ms` of the world's time. */
export async function takes(ms, work) {
  const endMs = nowMs + ms;
  reallyDoing += 1;
  try {
    return await work();
  } finally {
    reallyDoing -= 1;
    await new Promise((goOn) => add({ atMs: endMs, goOn, isTimer: false }));
  }
}

globalThis.setTimeout = (goOn, ms = 0, ...args) => {
  const timer = { atMs: nowMs + ms, goOn: () => goOn(...args), isTimer: true };
  add(timer);
  return timer;
};
globalThis.clearTimeout = (timer) => {
  waiting = waiting.filter((each) => each !== timer);
};

function add(one) {
  waiting.push(one);
  waiting.sort((a, b) => a.atMs - b.atMs);
  wake(0);
}

function wake(realMs) {
  if (isAwake) return;
  isAwake = true;
  startTimer(() => {
    isAwake = false;
    goOn(realMs);
  }, realMs);
}

function goOn(quietMs) {
  const [next] = waiting;
  if (next === undefined) return;
  // Whoever ends it adds what it waits for, and so comes here again.
  if (reallyDoing > 0) return;
  // One that is over at once is no patience with anything.
  const isLone = next.atMs > nowMs && waiting.every(({ isTimer }) => isTimer);
  if (isLone && quietMs < QUIET_MS) return wake(QUIET_MS);
  waiting.shift();
  nowMs = Math.max(nowMs, next.atMs);
  next.goOn();
  wake(0);
}
