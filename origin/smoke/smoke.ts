// The checks of a deployment, one after the other, and what came of each. Those that need an image wait for
// one, and are not made where there is none.

import type { Deployment } from "./deployment.ts";
import { Fault } from "./fault.ts";
import {
  askHeads,
  type Pulled,
  pullBlobs,
  pullByDigest,
  pullByTag,
  pullRanges,
  pullWarm,
} from "./pulls.ts";
import { askForNothing, askNonsense, logIn, ping, writeUnsigned } from "./refusals.ts";

export interface SmokeOptions {
  readonly deployment: Deployment;
  readonly image: ImageName;
  /** One that nobody has pulled there before; null: a cold pull is not checked. */
  readonly cold: ImageName | null;
  readonly onChecked: (checked: Checked) => void;
}

export interface ImageName {
  readonly repository: string;
  readonly tag: string;
}

export type Outcome = "ok" | "failed" | "not checked";

export interface Checked {
  readonly check: string;
  readonly outcome: Outcome;
  readonly ms: number;
  /** What was seen, or what is wrong. */
  readonly saw: string;
}

type Check = readonly [name: string, run: () => Promise<string>];

export async function smoke(options: SmokeOptions): Promise<readonly Checked[]> {
  const { deployment, image, cold, onChecked } = options;
  const all: Checked[] = [];
  const check = async ([name, run]: Check) => {
    const checked = await outcomeOf(name, run);
    all.push(checked);
    onChecked(checked);
  };
  let pulled: Pulled | undefined;
  const ofImage = async (run: (pulled: Pulled) => Promise<string>) => {
    if (pulled === undefined) throw new NotChecked("there is no image");
    return run(pulled);
  };
  const checks: readonly Check[] = [
    ["ping", () => ping(deployment)],
    ["login", () => logIn(deployment, image.repository)],
    ["cold pull", () => pullCold(deployment, cold)],
    [
      "pull by tag",
      async () => {
        pulled = await pullByTag(deployment, image.repository, image.tag);
        return `${image.repository}:${image.tag} is ${pulled.digest}`;
      },
    ],
    ["warm pull", () => ofImage((each) => pullWarm(deployment, each))],
    ["pull by digest", () => ofImage((each) => pullByDigest(deployment, each))],
    ["heads", () => ofImage((each) => askHeads(deployment, each))],
    ["blobs", () => ofImage((each) => pullBlobs(deployment, each))],
    ["ranges", () => ofImage((each) => pullRanges(deployment, each))],
    ["unknown", () => askForNothing(deployment, image.repository)],
    ["nonsense", () => askNonsense(deployment)],
    ["writing", () => writeUnsigned(deployment)],
  ];
  for (const each of checks) await check(each);
  return all;
}

async function pullCold(deployment: Deployment, cold: ImageName | null): Promise<string> {
  if (cold === null) throw new NotChecked("--cold names an image that nobody has pulled there");
  const pulled = await pullByTag(deployment, cold.repository, cold.tag);
  return pullBlobs(deployment, pulled);
}

class NotChecked extends Error {}

async function outcomeOf(check: string, run: () => Promise<string>): Promise<Checked> {
  const startMs = performance.now();
  const checked = (outcome: Outcome, saw: string) => ({
    ...{ check, outcome, saw },
    ms: Math.round(performance.now() - startMs),
  });
  try {
    return checked("ok", await run());
  } catch (error) {
    if (error instanceof NotChecked) return checked("not checked", error.message);
    if (error instanceof Fault) return checked("failed", error.message);
    throw error;
  }
}
