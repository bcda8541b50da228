// Who is killed, when, and how it comes back: the origin, the edge or its runtime alone, and whatever of Nix
// is running just then.

import { readFile } from "node:fs/promises";
import { setTimeout } from "node:timers/promises";
import type { Random } from "../bench/random.ts";
import type { Deployment, Part, PartName } from "../e2e/deployment.ts";
import { descendantsOf } from "../origin/nix/fixture.ts";

export type Victim = PartName | "nix";

export interface Killing {
  readonly ward: Ward;
  /** How many requests were answered so far, by which lives are measured: a machine may be slow. */
  readonly answered: () => number;
  readonly random: Random;
  readonly kills: number;
  readonly onKill: (victim: Victim) => void;
}

/** One start in so many is not waited for. */
const KILLED_IN_START = 3;
const KILLED_IN_START_OF_NIX = 10;
/** One kill of the edge in so many takes the command and not only the runtime, which it starts again. */
const WHOLE_EDGES = 5;
/** About as long as a start takes. */
const START_MS = 2000;
const LIFE_ANSWERS = 50;
const MAX_LIFE_MS = 10_000;
/** Then within a moment, so that no kill comes just after an answer only. */
const MOMENT_MS = 100;
const NIX_PAUSE_MS = 500;
/** Of one process of Nix's, most of which end sooner. */
const NIX_LIFE_MS = 150;
const POLL_MS = 3;
const PING_DEADLINE_MS = 1000;
const MAX_STARTS = 20;
const BUGS: ReadonlySet<unknown> = new Set(["a request failed", "a push failed"]);
/** Nothing of Nix for so long is no load at all. */
const MAX_IDLE_MS = 60_000;

/** Starts a part again whenever it has ended, as a service manager does. */
export interface Ward {
  /** As it runs now. */
  part(name: PartName): Part;
  /** Resolves when it answers. One that ends in its start is started again: Nix was killed under it. */
  listens(name: PartName): Promise<Part>;
  /** When both answer, and nobody kills any more. */
  recovered(): Promise<void>;
  kill(name: PartName): Promise<void>;
  readonly problems: readonly string[];
}

export function keepRunning(deployment: Deployment): Ward {
  const parts = { origin: deployment.launch("origin"), edge: deployment.launch("edge") };
  const launched = Object.values(parts);
  const problems: string[] = [];
  const restart = (name: PartName) => {
    parts[name] = deployment.launch(name);
    launched.push(parts[name]);
  };
  const ward: Ward = {
    part: (name) => parts[name],
    get problems() {
      return [...problems, ...bugsIn(launched)];
    },
    async listens(name) {
      for (let starts = 1; ; starts += 1) {
        const part = parts[name];
        try {
          await part.listening;
          if (part === parts[name]) return part;
        } catch (error) {
          if (starts === MAX_STARTS) throw error;
          // Unless whoever has killed it, or waits for it too, has done so.
          if (part === parts[name]) restart(name);
        }
      }
    },
    async kill(name) {
      const part = parts[name];
      const isReady = await Promise.race([
        part.listening.then(
          () => true,
          () => false,
        ),
        false,
      ]);
      if (isReady && !part.isRunning()) {
        problems.push(`${name} ended by itself: ${JSON.stringify(part.log.slice(-3))}`);
      }
      await part.stop("SIGKILL");
      restart(name);
    },
    async recovered() {
      for (const name of ["origin", "edge"] as const) {
        while (!(await answers(await ward.listens(name)))) await setTimeout(POLL_MS);
      }
    },
  };
  return ward;
}

/** What the programs themselves take for a mistake of theirs. */
function bugsIn(parts: readonly Part[]): readonly string[] {
  return parts
    .flatMap(({ log }) => log.filter(({ msg }) => BUGS.has(msg)))
    .map((line) => `logged: ${JSON.stringify(line)}`);
}

export async function killOrigins(killing: Killing): Promise<void> {
  for (let count = 0; count < killing.kills; count += 1) {
    await killPart(killing, "origin");
  }
}

export async function killEdges(killing: Killing): Promise<void> {
  const { ward, random, kills, onKill } = killing;
  for (let count = 0; count < kills; count += 1) {
    if (random.below(WHOLE_EDGES) === 0) {
      await killPart(killing, "edge");
      continue;
    }
    const edge = await ward.listens("edge");
    await someLife(killing, edge);
    await killOne(() => runtimeBelow(edge.pid), random, MOMENT_MS);
    onKill("edge");
  }
}

export async function killNix({ ward, random, kills, onKill }: Killing): Promise<void> {
  for (let count = 0; count < kills; count += 1) {
    // A start is mostly Nix: it would never come to an end.
    if (random.below(KILLED_IN_START_OF_NIX) > 0) await ward.listens("origin");
    await setTimeout(random.below(NIX_PAUSE_MS));
    await killOne(() => nixBelow(ward.part("origin").pid), random, NIX_LIFE_MS);
    onKill("nix");
  }
}

/** Sometimes it is killed before it answers at all. */
async function killPart(killing: Killing, name: PartName): Promise<void> {
  const { ward, random, onKill } = killing;
  if (random.below(KILLED_IN_START) === 0) await setTimeout(random.below(START_MS));
  else await someLife(killing, await ward.listens(name));
  await ward.kill(name);
  onKill(name);
}

async function someLife({ random, answered }: Killing, part: Part): Promise<void> {
  const endMs = performance.now() + MAX_LIFE_MS;
  const mayGoOn = () => part.isRunning() && performance.now() < endMs;
  // The runtime of an edge is back some time after it was killed.
  while (mayGoOn() && !(await answers(part))) await setTimeout(POLL_MS);
  const last = answered() + random.below(LIFE_ANSWERS);
  while (mayGoOn() && answered() < last) await setTimeout(POLL_MS);
  await setTimeout(random.below(MOMENT_MS));
}

function answers({ url }: Part): Promise<boolean> {
  return fetch(`${url}/v2/`, { signal: AbortSignal.timeout(PING_DEADLINE_MS) }).then(
    (response) => response.arrayBuffer().then(() => true),
    () => false,
  );
}

/** One of those that can be found a little after there is any. */
async function killOne(
  find: () => Promise<readonly number[]>,
  random: Random,
  lifeMs: number,
): Promise<void> {
  const startMs = performance.now();
  for (;;) {
    if ((await find()).length > 0) {
      await setTimeout(random.below(lifeMs));
      const found = await find();
      const pid = found[random.below(found.length)];
      if (pid !== undefined && kill(pid)) return;
    }
    if (performance.now() - startMs > MAX_IDLE_MS) throw new Error("there was nothing to kill");
    await setTimeout(POLL_MS);
  }
}

async function runtimeBelow(pid: number): Promise<readonly number[]> {
  const processes = await descendantsOf(pid);
  const names = await Promise.all(processes.map(programOf));
  return processes.filter((_, place) => names[place] === "workerd");
}

/** Nix's own processes and, below them, builders. */
async function nixBelow(pid: number): Promise<readonly number[]> {
  const processes = await descendantsOf(pid);
  const names = await Promise.all(processes.map(programOf));
  const own = processes.filter((_, place) => names[place]?.startsWith("nix"));
  const builders = await Promise.all(own.map(descendantsOf));
  return [...new Set([...own, ...builders.flat()])];
}

async function programOf(pid: number): Promise<string> {
  return (await readFile(`/proc/${pid}/comm`, "utf8").catch(() => "")).trim();
}

/** Whether it was there to be killed. */
function kill(pid: number): boolean {
  try {
    return process.kill(pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    return false;
  }
}
