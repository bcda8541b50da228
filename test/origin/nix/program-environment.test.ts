// What Nix and git run in, where a service has neither a home nor a cache folder.

import assert from "node:assert/strict";
import { stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { programEnvironment } from "../../../origin/nix/program-environment.ts";
import { tempDir } from "./fixture.ts";

describe("programEnvironment", () => {
  test("keeps Nix's caches in the state, and the user's home and all else as they are", async (t) => {
    const [home, state] = [await tempDir(t), await tempDir(t)];
    const env = programEnvironment({ HOME: home, PATH: "/bin", UNSET: undefined }, state);
    assert.deepEqual(env, { HOME: home, PATH: "/bin", XDG_CACHE_HOME: join(state, "cache") });
  });

  test("keeps the cache folder that the user chose", async (t) => {
    const chosen = { HOME: await tempDir(t), XDG_CACHE_HOME: "/var/cache/nixport" };
    assert.deepEqual(programEnvironment(chosen, await tempDir(t)), chosen);
  });

  const homes: readonly (readonly [what: string, home: (folder: string) => string | undefined])[] =
    [
      ["none is said", () => undefined],
      ["it is empty", () => ""],
      ["it does not exist", () => "/nonexistent"],
      ["it is a file", (folder) => join(folder, "file")],
    ];
  for (const [what, home] of homes) {
    test(`makes a home in the state where ${what}`, async (t) => {
      const folder = await tempDir(t);
      await writeFile(join(folder, "file"), "");
      const state = join(folder, "state");
      const { HOME } = programEnvironment({ HOME: home(folder) }, state);
      assert.equal(HOME, join(state, "home"));
      assert.equal((await stat(join(state, "home"))).mode & 0o777, 0o700);
    });
  }
});
