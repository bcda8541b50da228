import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { assert, describe, expect, test } from "vitest";
import { runProcess } from "../../origin/nix/spawn.ts";
import { skipWhere } from "../skip-where.ts";
import { missingWorld } from "./world.ts";

const RUN = fileURLToPath(new URL("./run.ts", import.meta.url));

const run = (...args: readonly string[]) =>
  runProcess(process.execPath, [RUN, "--packages", "0", "--control", "0", ...args], {
    env: process.env as Record<string, string>,
    deadlineMs: 60_000,
  });

describe("npm run stand-ins", skipWhere(missingWorld()), () => {
  test("runs a command in a world, and ends with it as it did", async () => {
    const listing = "git ls-remote https://github.com/NixOS/nixpkgs master";
    const result = await run("--", "sh", "-c", `${listing}; exit 3`);
    assert(result.kind === "exited", JSON.stringify(result));
    expect(result.stdout).toMatch(/^[0-9a-f]{40}\trefs\/heads\/master\n$/);
    expect(result.code).toBe(3);
    const folder = /(\/\S+)\/enter /.exec(result.stderr)?.[1] ?? "";
    expect(folder, result.stderr).not.toBe("");
    expect(existsSync(folder)).toBe(false);
  });

  test("says how it is used when it is used otherwise", async () => {
    const result = await run("--wording", "mumbled");
    assert(result.kind === "exited" && result.code === 1, JSON.stringify(result));
    expect(result.stdout).toMatch(/^usage: /);
  });
});
