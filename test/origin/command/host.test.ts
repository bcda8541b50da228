// Preparing a machine: what is there already is left alone.

import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { ensureTools } from "../../../origin/command/host-packages.ts";
import { HostProblem } from "../../../origin/command/host-problem.ts";
import { skipWhere } from "../../skip-where.ts";
import { temporaryDirectory } from "../fixture.ts";

const unprivileged = process.getuid?.() !== 0 && "apt-get is started as root";
const TOOL = ["nixport-test-tool", "no-such-debian-package"] as const;

describe("ensureTools", () => {
  test.for([
    ["on PATH", "bin", (home: string) => `/nowhere:${join(home, "bin")}`],
    ["where Nix's installer put it", ".nix-profile/bin", () => "/nowhere"],
  ] as const)("installs nothing for a program that is %s", async ([, folder, pathOf]) => {
    const home = await temporaryDirectory(onTestFinished);
    await mkdir(join(home, folder), { recursive: true });
    await writeFile(join(home, folder, TOOL[0]), "");
    const said: string[] = [];
    const env = { PATH: pathOf(home), HOME: home };
    await ensureTools([TOOL], env, (line) => said.push(line));
    expect(said).toStrictEqual([]);
  });

  test("says what it could not install", skipWhere(unprivileged), async () => {
    const said: string[] = [];
    const installing = ensureTools([TOOL], { PATH: "/nowhere" }, (line) => said.push(line));
    await expect(installing).rejects.toThrow(HostProblem);
    expect(said).toStrictEqual(["installing no-such-debian-package"]);
  });
});
