import { expect, test } from "vitest";
import { logRuns } from "../../../origin/nix/run-log.ts";
import type { SpawnResult } from "../../../origin/nix/spawn.ts";
import { readableLog } from "../fixture.ts";

const EVALUATION = ["--eval", "--strict", "--json", "--read-write-mode", "/x/lookup.nix"];
const SECRETS = ["--argstr", "source", '{"url":"https://token@example.org"}'];

test("a process of Nix is logged when it starts, and with its time when it ends", async () => {
  const { log, lines } = readableLog();
  let nowMs = 1000;
  const { promise: ended, resolve } = Promise.withResolvers<SpawnResult>();
  logRuns(log, () => nowMs)("nix-instantiate", [...EVALUATION, ...SECRETS], ended);
  nowMs += 250;
  resolve({ kind: "exited", code: 0, stdout: "", stderr: "" });
  await ended;
  const facts = ({ msg, program, args, expression, kind, ms }: Record<string, unknown>) => [
    ...[msg, program, args, expression, kind, ms],
  ];
  const what = ["nix-instantiate", EVALUATION.slice(0, 4), "lookup.nix"];
  expect(lines.map(facts)).toStrictEqual([
    ["started", ...what, undefined, undefined],
    ["ended", ...what, "exited", 250],
  ]);
});
