// What Nix and git run in, where a service has neither a home nor a cache folder.

import { stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { programEnvironment } from "../../../origin/nix/program-environment.ts";
import { tempDir } from "./fixture.ts";

describe("programEnvironment", () => {
  test("keeps Nix's caches in the state, and the user's home and all else as they are", async () => {
    const [home, state] = [await tempDir(onTestFinished), await tempDir(onTestFinished)];
    const env = programEnvironment({ HOME: home, PATH: "/bin", UNSET: undefined }, state);
    expect(env).toStrictEqual({ HOME: home, PATH: "/bin", XDG_CACHE_HOME: join(state, "cache") });
  });

  test("keeps the cache folder that the user chose", async () => {
    const chosen = { HOME: await tempDir(onTestFinished), XDG_CACHE_HOME: "/var/cache/nixport" };
    expect(programEnvironment(chosen, await tempDir(onTestFinished))).toStrictEqual(chosen);
  });

  const homes: readonly (readonly [what: string, home: (folder: string) => string | undefined])[] =
    [
      ["none is said", () => undefined],
      ["it is empty", () => ""],
      ["it does not exist", () => "/nonexistent"],
      ["it is a file", (folder) => join(folder, "file")],
    ];
  test.for(homes)("makes a home in the state where %s", async ([, home]) => {
    const folder = await tempDir(onTestFinished);
    await writeFile(join(folder, "file"), "");
    const state = join(folder, "state");
    const { HOME } = programEnvironment({ HOME: home(folder) }, state);
    expect(HOME).toBe(join(state, "home"));
    expect((await stat(join(state, "home"))).mode & 0o777).toBe(0o700);
  });
});
