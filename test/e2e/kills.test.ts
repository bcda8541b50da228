// Whatever is killed, and whenever: nothing that was answered is lost, and nothing that is stored is damaged.

import { expect, test } from "vitest";
import { runKills } from "../kills/run-kills.ts";
import { hidesHost } from "../origin/nix/sandbox-shell.ts";
import { skipWhere } from "../skip-where.ts";

const KILLS = 200;
/** `npm run kills` chooses others. */
const SEED = 20_261;
const DEADLINE_MS = 600_000;

test(`${KILLS} kills under load (seed ${SEED}) lose and damage nothing`, {
  timeout: DEADLINE_MS,
  ...skipWhere(hidesHost),
}, async () => {
  const report = await runKills({ kills: KILLS, seed: SEED, say: console.log });
  console.log(JSON.stringify(report));
  expect(report.problems).toStrictEqual([]);
  expect(report.kills).toStrictEqual({ origin: 44, edge: 44, nix: 112 });
  // Else nothing was under load.
  expect(report.requests.right).toBeGreaterThan(KILLS);
  expect(report.images).toBeGreaterThan(KILLS / 4);
});
