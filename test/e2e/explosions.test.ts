// A package set whose names explode when they are evaluated: each costs its own request, and whoever asks
// for something else meanwhile waits no longer than twice the usual time.

import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EXPLODING, explodingSet } from "../origin/nix/exploding-set.ts";
import { descendantsOf, SYSTEM, untilEnded } from "../origin/nix/fixture.ts";
import { hidesHost } from "../origin/nix/sandbox-shell.ts";
import { skipWhere } from "../skip-where.ts";
import { type Deployment, deploy, type LogLine, type Part } from "./deployment.ts";

/** Enough for what must explode first on a busy machine. */
const DEADLINE_SECONDS = 15;

let packages: string;
let deployment: Deployment;
let origin: Part;

beforeAll(async () => {
  packages = await mkdtemp(join(tmpdir(), "nixport-set-"));
  await chmod(packages, 0o755);
  await writeFile(join(packages, "default.nix"), explodingSet(SYSTEM, packages));
  deployment = await deploy({
    packages,
    env: {
      NIXPORT_EVALUATION_MEMORY: String(1024 ** 3),
      NIXPORT_EVALUATION_DEADLINE: String(DEADLINE_SECONDS),
    },
  });
  origin = await deployment.startOrigin();
});

afterAll(async () => {
  await deployment?.close();
  await rm(packages, { recursive: true, force: true });
});

interface Answer {
  readonly status: number;
  readonly message: string;
  readonly ms: number;
}

async function ask(name: string): Promise<Answer> {
  const begun = performance.now();
  const response = await fetch(`${deployment.originUrl}/v2/${name}/manifests/latest`);
  const { errors } = (await response.json()) as { errors?: readonly { message: string }[] };
  const ms = performance.now() - begun;
  return { status: response.status, message: errors?.[0]?.message ?? "", ms };
}

/** What each is answered with; the words are the package's line. */
const ANSWERS: Readonly<Record<string, readonly [status: number, message: RegExp]>> = {
  list: [404, /^list .*: it takes more than 1\.1 GB of memory to evaluate$/],
  text: [404, /^text .*: it takes more than 1\.1 GB of memory to evaluate$/],
  json: [404, /^json .*: it takes more than 1\.1 GB of memory to evaluate$/],
  deep: [404, /^deep .*: stack overflow/],
  regex: [404, /^regex .*: stack overflow/],
  described: [200, /^$/],
  "many.nothing": [404, /^many\.nothing .*: it says more than 17 MB$/],
  noise: [200, /^$/],
  idle: [503, new RegExp(`stopped after ${DEADLINE_SECONDS} s`)],
};

let next = 0;

describe("a package set that explodes", skipWhere(hidesHost), () => {
  test("costs its own request only", async ({ annotate }) => {
    const other = () => ask(`p${next++}`);
    // What every image holds is made once.
    expect((await other()).status).toBe(200);
    const [alone, beside]: [number[], number[]] = [[], []];
    for (const name of [...EXPLODING, "idle"]) {
      alone.push((await other()).ms);
      const exploding = ask(name);
      await evaluating();
      const answer = await other();
      expect(answer.status, answer.message).toBe(200);
      beside.push(answer.ms);
      const { status, message } = await exploding;
      const [expected = 0, words = /./] = ANSWERS[name] ?? [];
      expect(status, message).toBe(expected);
      expect(message).toMatch(words);
    }
    const [usual, meanwhile] = [median(alone), median(beside)];
    const figures = `usually ${usual} ms, meanwhile ${meanwhile} ms (${beside.map(Math.round)})`;
    await annotate(figures);
    expect(meanwhile, figures).toBeLessThan(2 * usual);
  });

  test("keeps no turns for ever, and computes no longer than its origin lives", async () => {
    const names = ["idle", "idle-2", "idle-3"];
    const given = names.map((name) => ask(name).catch((error: unknown) => error));
    const { status, message, ms } = await ask(`p${next++}`);
    expect(status, message).toBe(200);
    expect(ms, "all of them").toBeLessThan(1000 * DEADLINE_SECONDS);
    const started = await descendantsOf(origin.pid);
    expect(started.length, "three evaluations, and what ends them").toBeGreaterThan(3);
    await origin.stop("SIGKILL");
    for (const answer of await Promise.all(given)) expect(answer).toBeInstanceOf(Error);
    for (const pid of started) await untilEnded(pid);
  });
});

/** Returns when an evaluation of names begins that had not when this was called. */
async function evaluating(): Promise<void> {
  const before = origin.log.length;
  const isNew = (line: LogLine) => origin.log.indexOf(line) >= before;
  await origin.waitFor((line) => line.expression === "lookup.nix" && isNew(line));
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return Math.round(sorted[Math.floor(sorted.length / 2)] ?? 0);
}
