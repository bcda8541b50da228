// Where the files of the store are, by what Nix is told and by what it says itself.

import { assert, describe, expect, onTestFinished, test } from "vitest";
import type { NixRunner } from "../../../origin/nix/nix-runner.ts";
import {
  findStoreDirectory,
  realDirectory,
  StoreProblem,
} from "../../../origin/nix/store-place.ts";
import { tempDir, testNix } from "./fixture.ts";

describe("realDirectory", () => {
  const rows: readonly (readonly [url: string, directory: string | undefined])[] = [
    ["", "/nix/store"],
    ["auto", "/nix/store"],
    ["daemon", "/nix/store"],
    ["local", "/nix/store"],
    ["local?trusted=true", "/nix/store"],
    ["unix:///run/nix/socket", "/nix/store"],
    ["unix:///run/nix/socket?root=/mnt", "/mnt/nix/store"],
    ["/mnt/root", "/mnt/root/nix/store"],
    ["local?root=/mnt/root", "/mnt/root/nix/store"],
    ["local?root=/mnt/with%20space/", "/mnt/with space/nix/store"],
    ["local://?root=/mnt", "/mnt/nix/store"],
    ["local?root=/mnt&real=/data/store", "/data/store"],
    ["local?store=/gnu/store", undefined],
    ["ssh-ng://builder", undefined],
    ["https://cache.example.org", undefined],
    ["dummy://", undefined],
  ];
  for (const [url, directory] of rows) {
    test(`is ${directory} for ${JSON.stringify(url)}`, () =>
      expect(realDirectory(url)).toBe(directory));
  }
});

describe("findStoreDirectory", () => {
  test("is the usual one on this machine", async () => {
    expect((await testNix()).storeDirectory).toBe("/nix/store");
  });

  test("follows NIX_REMOTE to a store of its own", async () => {
    const root = await tempDir(onTestFinished);
    const nix = await testNix({ env: { NIX_REMOTE: `local?root=${root}` } });
    expect(nix.storeDirectory).toBe(`${root}/nix/store`);
  });

  test("refuses a store whose paths have other names", async () => {
    const folder = await tempDir(onTestFinished);
    const env = { NIX_STORE_DIR: `${folder}/store`, NIX_STATE_DIR: `${folder}/var` };
    const problem = await testNix({ env }).catch((error) => error);
    assert(problem instanceof StoreProblem);
    expect(problem.message).toMatch(
      /its store at .*, and images hold \/nix\/store: unset NIX_STORE_DIR/,
    );
  });

  const said: readonly (readonly [
    what: string,
    answer: { code: number; stderr: string },
    RegExp,
  ])[] = [
    [
      "Nix falls back to a store in the user's home",
      {
        code: 0,
        stderr:
          "warning: '/nix/var/nix' does not exist, so Nix will use '/home/ann/.local/share/nix/root' as a chroot store\n",
      },
      /below \/home\/ann\/\.local\/share\/nix\/root, since \/nix\/var\/nix does not exist/,
    ],
    [
      "the store belongs to others",
      {
        code: 1,
        stderr: "error: opening lock file '/nix/var/nix/db/big-lock': Permission denied\n",
      },
      /cannot use its store: opening lock file .*: Permission denied/,
    ],
  ];
  test.for(said)("refuses to start where %s", async ([, answer, message]) => {
    const run: NixRunner = async () => ({ kind: "exited", stdout: '"/nix/store"\n', ...answer });
    await expect(findStoreDirectory(run, undefined)).rejects.toThrow(message);
  });

  test.for([
    "error: SQLite database '/nix/var/nix/db/db.sqlite' is busy\n",
    "error: creating symlink '/nix/var/nix/gcroots/profiles' -> '/nix/var/nix/profiles': File exists\n",
  ])("asks again where another process is making the store: %s", async (stderr) => {
    let asked = 0;
    const run: NixRunner = async () => {
      asked += 1;
      const isMade = asked === 3;
      return {
        ...{ kind: "exited", code: isMade ? 0 : 1, stdout: '"/nix/store"\n' },
        stderr: isMade ? "" : stderr,
      };
    };
    expect(await findStoreDirectory(run, undefined)).toBe("/nix/store");
  });
});
