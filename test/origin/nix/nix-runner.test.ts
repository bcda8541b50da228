import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { nixRunner } from "../../../origin/nix/nix-runner.ts";
import { tempDir } from "./fixture.ts";

/** A `nix-store` whose first run ends in `crash`, and any other as it should; it counts them. */
async function crashing(crash: string) {
  const folder = await tempDir(onTestFinished);
  const script = [
    ...["#!/bin/sh", 'echo run >> "$0.runs"'],
    ...['[ "$(wc -l < "$0.runs")" -gt 1 ] && { echo planned >&2; exit 0; }', crash],
  ].join("\n");
  await writeFile(join(folder, "nix-store"), script, { mode: 0o755 });
  const run = nixRunner({ env: { PATH: `${folder}:${process.env.PATH}` } });
  return {
    run: () => run("nix-store", [], { deadlineMs: 60_000 }),
    runs: async () =>
      (await readFile(join(folder, "nix-store.runs"), "utf8")).split("\n").length - 1,
  };
}

/** What Nix 2.8 said when a cache answered with 500 while it asked for several paths. */
const TERMINATED = `printf '%s\n' "terminate called after throwing an instance of 'nix::Interrupted'" \
  "  what():  error: interrupted by the user" >&2; kill -ABRT $$`;

const LOST = "error: path '/nix/store/3apw8n2lq2dzn6p5aa9qhvd9fbq2a56n-glibc-2.40-66' is not valid";
const SAID_JSON = `@nix {"action":"msg","level":0,"msg":"${LOST}"}`;

describe("a process of Nix", () => {
  const cutOff: readonly (readonly [by: string, shell: string])[] = [
    ["its own threads", TERMINATED],
    ["a crash", "kill -SEGV $$"],
    ["a collector", `echo "${LOST}" >&2; exit 1`],
    [
      "a collector, said as JSON",
      `printf '%s\n' '${SAID_JSON.replaceAll("'", "'\\''")}' >&2; exit 1`,
    ],
  ];
  test.for(cutOff)("that was ended by %s is run once more", async ([, shell]) => {
    const nix = await crashing(shell);
    expect(await nix.run()).toMatchObject({ kind: "exited", code: 0, stderr: "planned\n" });
    expect(await nix.runs()).toBe(2);
  });

  const others: readonly (readonly [crash: string, shell: string])[] = [
    ["want of memory", "echo 'terminate called after throwing std::bad_alloc' >&2; kill -ABRT $$"],
    ["a kill", "kill -KILL $$"],
    ["words of a package", `echo "terminate called: nix::Interrupted" >&2; exit 1`],
    ["words of a builder", `echo "  > path '/nix/store/x' is not valid" >&2; exit 1`],
  ];
  test.for(others)("is not run again after %s", async ([, shell]) => {
    const nix = await crashing(shell);
    expect(await nix.run()).not.toMatchObject({ kind: "exited", code: 0 });
    expect(await nix.runs()).toBe(1);
  });
});
