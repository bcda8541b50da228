// Kills origin, edge and Nix at random moments under load, so many times, and then looks whether anything is
// lost: by fsck at both sides, and by pulling again all that was answered, with the origin and without.

import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { createRandom } from "../bench/random.ts";
import { type Deployment, deploy, type Part } from "../e2e/deployment.ts";
import { ended, start } from "../origin/command/command.ts";
import { type Answers, collectAnswers, whatIsLost } from "./answers.ts";
import { plantColdSet } from "./cold-set.ts";
import { type Load, startLoad } from "./load.ts";
import { keepRunning, killEdges, killNix, killOrigins, type Victim, type Ward } from "./victims.ts";

export interface KillsOptions {
  readonly kills: number;
  /** Any integer but 0. It decides who is killed after what time, and what is asked for. */
  readonly seed: number;
  readonly say: (line: string) => void;
}

export interface KillsReport {
  readonly kills: Readonly<Record<Victim, number>>;
  readonly requests: Load["counts"];
  readonly images: number;
  readonly seconds: number;
  /** Answers that nobody should have had, what is damaged and what is lost: none, where all is well. */
  readonly problems: readonly string[];
}

/** Of packages that are there before the first kill. */
const WARM = ["htop", "jq", "hello", "tree/less"];
/** Of all kills; the rest is Nix's, whose are cheap. */
const PART_SHARE = 0.22;
const SAY_EVERY_MS = 10_000;
const STUCK_MS = 60_000;
const POLL_MS = 100;

export async function runKills(options: KillsOptions): Promise<KillsReport> {
  const { seed, say } = options;
  const startMs = performance.now();
  const packages = await mkdtemp(join(tmpdir(), "nixport-kills-"));
  await plantColdSet(packages, `${seed} ${process.pid}`);
  const deployment = await deploy({ packages });
  try {
    const ward = keepRunning(deployment);
    const answers = collectAnswers(deployment.edgeUrl);
    await ward.recovered();
    for (const name of WARM) {
      const outcome = await answers.pullByTag(name);
      if (outcome.kind !== "right") throw new Error(`${name}: ${JSON.stringify(outcome)}`);
    }
    const load = startLoad(answers, seed);
    const killed = await killAll(options, ward, load, () => tell(load, answers));
    await load.stop();
    await ward.recovered();
    const origin = ward.part("origin");
    say(tell(load, answers));
    const lost = async (when: string) =>
      (await whatIsLost(answers)).map((each) => `lost ${when}: ${each}`);
    const problems = [
      ...load.wrong,
      ...(await whatIsDamaged(deployment, origin)),
      ...(await lost("after the kills")),
    ];
    await origin.stop("SIGKILL");
    problems.push(...(await lost("without the origin")), ...ward.problems);
    return {
      ...{ kills: killed, requests: load.counts, images: answers.images.size, problems },
      seconds: Math.round((performance.now() - startMs) / 1000),
    };
  } finally {
    await deployment.close();
    await rm(packages, { recursive: true, force: true });
  }
}

async function killAll(
  { kills, seed, say }: KillsOptions,
  ward: Ward,
  { counts }: Load,
  told: () => string,
): Promise<Readonly<Record<Victim, number>>> {
  const done: Record<Victim, number> = { origin: 0, edge: 0, nix: 0 };
  const ofPart = Math.ceil(kills * PART_SHARE);
  const killing = (place: number, count: number) => ({
    ...{ ward, answered: () => counts.right, kills: count, random: createRandom(seed + place) },
    onKill: (victim: Victim) => {
      done[victim] += 1;
    },
  });
  const timer = setInterval(() => say(`killed ${JSON.stringify(done)}; ${told()}`), SAY_EVERY_MS);
  try {
    await Promise.all([
      killOrigins(killing(1, ofPart)),
      killEdges(killing(2, ofPart)),
      killNix(killing(3, kills - 2 * ofPart)),
    ]);
  } finally {
    clearInterval(timer);
  }
  return done;
}

function tell({ counts, wrong }: Load, { images }: Answers): string {
  const { right, refused } = counts;
  return `${right} requests answered, ${refused} cut off or refused, ${wrong.length} wrong; ${images.size} images`;
}

/** When the edge has all that it is to be given. */
async function whatIsDamaged(deployment: Deployment, origin: Part): Promise<readonly string[]> {
  const { statePath, edgeUrl } = deployment;
  const problems: string[] = [];
  const { waiting, pushed } = await drained(join(statePath, "origin/outbox"));
  if (waiting > 0) {
    const last = JSON.stringify(origin.log.slice(-3));
    problems.push(`${waiting} images stay in the outbox, after ${pushed} left it: ${last}`);
  }
  const env = { NIXPORT_STATE: statePath, EDGE_PORT: new URL(edgeUrl).port };
  const { code, stdout, stderr } = await ended(start(["fsck", "--json"], env));
  if (code !== 0) problems.push(`fsck ends with ${code}: ${stderr}${stdout.slice(0, 5000)}`);
  const [staged, roots] = await Promise.all(
    ["origin/staging", "gcroots"].map((each) => readdir(join(statePath, each))),
  );
  if (staged?.length !== 1) problems.push(`left in staging: ${staged}`);
  if (roots?.length !== 0) problems.push(`roots that are left: ${roots}`);
  return problems;
}

/** Each image may take seconds on a busy machine; none takes so long that nothing leaves for a minute. */
async function drained(outbox: string) {
  const count = async () => (await readdir(outbox)).length;
  const first = await count();
  let waiting = first;
  for (let sinceMs = performance.now(); waiting > 0; await setTimeout(POLL_MS)) {
    const now = await count();
    if (now < waiting) sinceMs = performance.now();
    waiting = now;
    if (performance.now() - sinceMs > STUCK_MS) break;
  }
  return { waiting, pushed: first - waiting };
}
