// `nixport password` as a process: what it prints is what a policy takes.

import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { isPassword, parsePasswordHash } from "../../../registry/access/password.ts";

const COMMAND = fileURLToPath(new URL("../../../origin/command/nixport.ts", import.meta.url));

function run(input: string, ...args: readonly string[]) {
  const env = { PATH: process.env.PATH ?? "" };
  const options = { env, input, encoding: "utf8" } as const;
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [COMMAND, "password", ...args],
    options,
  );
  return { status, stdout, stderr };
}

describe("nixport password", { timeout: 60_000 }, () => {
  test("prints the hash of a line, as long as a Worker can compute", async () => {
    const { status, stdout } = run("correct horse\nand more\n");
    expect(status).toBe(0);
    expect(stdout).toMatch(/^pbkdf2-sha256\$100000\$\S+\n$/);
    const hash = parsePasswordHash(stdout.trim());
    expect(hash && (await isPassword("correct horse", hash))).toBe(true);
  });

  test("makes a robot's secret, and its hash", async () => {
    const { stdout } = run("", "--robot");
    const [, secret = "", text = ""] = /: (\S+)\n.*: (\S+)\n$/.exec(stdout) ?? [];
    const hash = parsePasswordHash(text);
    expect(hash && (await isPassword(secret, hash))).toBe(true);
  });

  test.for([
    ["a short password", "short\n", [], 1, /8 to 1024 characters/],
    ["too many rounds", "x", ["--rounds", "200000"], 2, /--rounds: a number from 1000 to 100000/],
  ] as const)("takes not %s", ([, input, args, status, why]) => {
    const result = run(input, ...args);
    expect([result.status, result.stdout]).toStrictEqual([status, ""]);
    expect(result.stderr).toMatch(why);
  });
});
