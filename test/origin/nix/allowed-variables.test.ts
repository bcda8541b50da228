import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { assert, describe, expect, onTestFinished, test } from "vitest";
import { ALLOWED_VARIABLES, allowedVariables } from "../../../origin/nix/allowed-variables.ts";
import { lookUp } from "../../../origin/nix/look-up.ts";
import { nixRunner } from "../../../origin/nix/nix-runner.ts";
import { runGit } from "../../../origin/sources/git-process.ts";
import { packageSet, SYSTEM, tempDir, testNix } from "./fixture.ts";

/** What a service's environment may hold besides. */
const SECRETS = {
  NIXPORT_SECRET: "hunter2-of-ours",
  GITHUB_TOKEN: "hunter2-of-a-forge",
  DATABASE_URL: "hunter2-of-something-else",
  AWS_SECRET_ACCESS_KEY: "hunter2-of-a-cache",
  NIXPKGS_ALLOW_UNFREE: "hunter2-that-changes-answers",
};

describe("the environment of the origin", () => {
  test("is not to be read by a package set, but for what Nix needs", async () => {
    const nix = await testNix({ env: { ...SECRETS, TZ: "Antarctica/Troll" } });
    const names = [...Object.keys(SECRETS), "TZ"];
    const said = names.map((name) => `\${builtins.getEnv "${name}"}`).join("|");
    const source = await packageSet(onTestFinished, nix, `{ telling = throw "said: ${said}"; }`);
    const [telling] = await lookUp(nix, source, SYSTEM, ["telling"], AbortSignal.any([]));
    assert(telling?.lookup.kind === "evaluation-failed");
    expect(telling.lookup.message).toBe("said: |||||Antarctica/Troll");
  });

  test("gives Nix the credentials of caches where it fetches and does not evaluate", async () => {
    const folder = await tempDir(onTestFinished);
    for (const program of ["nix-instantiate", "nix-store"]) {
      const script = '#!/bin/sh\necho "$AWS_SECRET_ACCESS_KEY|$GITHUB_TOKEN"\n';
      await writeFile(join(folder, program), script, { mode: 0o755 });
    }
    const run = nixRunner({ env: { ...SECRETS, PATH: folder } });
    const limits = { deadlineMs: 60_000 };
    expect(await run("nix-store", [], limits)).toMatchObject({ stdout: "hunter2-of-a-cache|\n" });
    expect(await run("nix-instantiate", [], limits)).toMatchObject({ stdout: "|\n" });
  });

  test("is kept from git's helpers, but for what git is configured by", async () => {
    const env = {
      ...{ ...SECRETS, PATH: process.env.PATH ?? "", HOME: await tempDir(onTestFinished) },
      ...{ GIT_CONFIG_COUNT: "1", GIT_CONFIG_KEY_0: "alias.tell", GIT_CONFIG_VALUE_0: "!env" },
    };
    const result = await runGit(env, ["tell"], { deadlineMs: 60_000 });
    assert(result.kind === "exited" && result.code === 0, JSON.stringify(result));
    expect(result.stdout).toMatch(/^GIT_CONFIG_KEY_0=alias\.tell$/m);
    expect(result.stdout).not.toMatch(/hunter2/);
  });

  test("is told by the page on configuration", async () => {
    const page = await readFile(new URL("../../../docs/configuration.md", import.meta.url), "utf8");
    const told = new Set([...page.matchAll(/`([A-Za-z_0-9]+)`/g)].map(([, name = ""]) => name));
    const capitals = /^[A-Z]+_PROXY$/;
    const untold = [...ALLOWED_VARIABLES].filter((name) => !capitals.test(name) && !told.has(name));
    expect(untold).toStrictEqual([]);
  });

  test("has no variable that is unset", () => {
    expect(allowedVariables({ HOME: undefined, LANG: "C.UTF-8" })).toStrictEqual({
      LANG: "C.UTF-8",
    });
  });
});
