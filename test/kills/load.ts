// A small mixed load that goes on until it is stopped: what is known, by tag, by digest and blob by blob;
// combinations that nobody has asked for; packages that nobody has built; names of nothing.

import { setTimeout } from "node:timers/promises";
import { createRandom, type Random } from "../bench/random.ts";
import { type Answers, anyOf, type Outcome } from "./answers.ts";
import { coldName } from "./cold-set.ts";

export interface Load {
  readonly counts: Readonly<Record<Outcome["kind"], number>>;
  readonly wrong: readonly string[];
  /** Resolves when nothing is asked any more. */
  stop(): Promise<void>;
}

const KNOWING_CLIENTS = 4;
/** As many as let Nix have something to do nearly always. */
const COLD_CLIENTS = 2;
/** Between two requests of a client: the machine has restarts to do. */
const MAX_PAUSE_MS = 100;
/** After a refusal, so that what is down is not all that is asked. */
const REST_MS = 50;
const MAX_PACKAGES = 4;

export function startLoad(answers: Answers, seed: number): Load {
  const counts = { right: 0, refused: 0, wrong: 0 };
  const wrong: string[] = [];
  let isStopped = false;
  let coldest = 0;
  const again: string[] = [];

  async function client(random: Random, next: (random: Random) => Promise<Outcome>): Promise<void> {
    while (!isStopped) {
      const outcome = await next(random);
      counts[outcome.kind] += 1;
      if (outcome.kind === "wrong") wrong.push(outcome.what);
      await setTimeout(outcome.kind === "right" ? random.below(MAX_PAUSE_MS) : REST_MS);
    }
  }

  /** Whatever was refused is asked for again, so that it is there at last. */
  async function askForCold(): Promise<Outcome> {
    const name = again.pop() ?? coldName(coldest++);
    const outcome = await answers.pullByTag(name);
    if (outcome.kind === "refused") again.unshift(name);
    return outcome;
  }

  const clients = [
    ...Array.from({ length: KNOWING_CLIENTS }, (_, place) =>
      client(createRandom(seed + 100 + place), (random) => askForKnown(answers, random)),
    ),
    ...Array.from({ length: COLD_CLIENTS }, (_, place) =>
      client(createRandom(seed + 200 + place), askForCold),
    ),
  ];
  return {
    ...{ counts, wrong },
    async stop() {
      isStopped = true;
      await Promise.all(clients);
    },
  };
}

function askForKnown(answers: Answers, random: Random): Promise<Outcome> {
  const image = anyOf(random, answers);
  const share = random.fraction();
  if (image === undefined || share < 0.1) {
    return answers.askForNothing(`no-such-${random.below(1000)}`);
  }
  if (share < 0.35) return answers.pullByTag(image.name);
  if (share < 0.55) return answers.pullByDigest(image);
  if (share < 0.75) {
    const digest = image.blobs[random.below(image.blobs.length)];
    return digest === undefined ? answers.pullByDigest(image) : answers.pullBlob(image, digest);
  }
  return answers.pullByTag(combination(answers, random));
}

function combination(answers: Answers, random: Random): string {
  const packages = Array.from({ length: 2 + random.below(MAX_PACKAGES - 1) }, () =>
    anyOf(random, answers)?.name.split("/"),
  );
  const names = [...new Set(packages.flatMap((each) => each ?? []))].sort();
  return names.slice(0, MAX_PACKAGES).join("/");
}
