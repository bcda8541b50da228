import { execFileSync } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { assert, describe, expect, onTestFinished, test } from "vitest";
import type { PinnedSource } from "../../origin/nix/pinned-source.ts";
import type { Ending } from "../origin/fixture.ts";
import {
  derivation,
  evaluateLookup,
  OTHER_SYSTEM,
  packageSet,
  pinPath,
  SYSTEM,
  TEST_NIX_CONFIG,
  tempDir,
  testNix,
} from "../origin/nix/fixture.ts";

const nix = await testNix();
const hello = derivation("hello-1.0", "echo > $out");

describe("load.nix", () => {
  const shapes: readonly (readonly [title: string, expression: string])[] = [
    ["a plain set", `{ hello = ${hello}; }`],
    ["a function of system", `{ system }: { hello = assert system == "${SYSTEM}"; ${hello}; }`],
    [
      "a function of more than it names",
      `{ ... }@args: { hello = assert args == { system = "${SYSTEM}"; }; ${hello}; }`,
    ],
    [
      "a function of one argument",
      `args: { hello = assert args == { system = "${SYSTEM}"; }; ${hello}; }`,
    ],
    ["a function of nothing", `{ }: { hello = ${hello}; }`],
    [
      "a function with defaults of its own",
      `{ mine ? 1 }: { hello = assert mine == 1; ${hello}; }`,
    ],
    [
      "a function like nixpkgs, which reads no configuration of the user",
      `{ localSystem ? { inherit (args) system; }, system ? localSystem.system,
         crossSystem ? localSystem, config ? throw "host config", overlays ? throw "host overlays",
         ... }@args:
       { hello = assert config == { } && overlays == [ ] && system == "${SYSTEM}"; ${hello}; }`,
    ],
    ["legacyPackages of a flake", `{ legacyPackages.${SYSTEM}.hello = ${hello}; }`],
    [
      "packages of a flake, which win over legacyPackages",
      `{ packages.${SYSTEM}.hello = ${hello}; legacyPackages.${SYSTEM}.hello = throw "second"; }`,
    ],
    [
      "a plain set in which something is called packages",
      `{ packages = ${derivation("packages-1", "echo > $out")}; hello = ${hello}; }`,
    ],
  ];
  test.for(shapes)("loads %s", async ([, expression]) => {
    const source = await packageSet(onTestFinished, nix, expression);
    const { lookups } = await evaluateLookup(nix, source, ["hello"]);
    expect(lookups[0]?.kind, JSON.stringify(lookups)).toBe("found");
  });

  test("gives a function the operator's configuration", async () => {
    const expression = `{ config, system }: { hello = assert config == { a = [ 1 "b" ]; }; ${hello}; }`;
    const source = {
      ...(await packageSet(onTestFinished, nix, expression)),
      config: { a: [1, "b"] },
    };
    const { lookups } = await evaluateLookup(nix, source, ["hello"]);
    expect(lookups[0]?.kind, JSON.stringify(lookups)).toBe("found");
  });

  test("passes on the system that is asked for", async () => {
    const expression = `{ system }: { hello = derivation {
      name = "hello"; builder = "/bin/sh"; inherit system; }; }`;
    const source = await packageSet(onTestFinished, nix, expression);
    const { lookups } = await evaluateLookup(nix, source, ["hello"], OTHER_SYSTEM);
    expect(lookups[0]?.kind).toBe("found");
  });

  test("loads a single file and an absolute path with a needless slash", async () => {
    const dir = await tempDir(onTestFinished);
    await writeFile(join(dir, "set.nix"), `{ hello = ${hello}; }`);
    await writeFile(join(dir, "default.nix"), "import ./set.nix");
    const file = await pinPath(nix, join(dir, "set.nix"));
    expect((await evaluateLookup(nix, file, ["hello"])).lookups[0]?.kind).toBe("found");
    const directory = await pinPath(nix, dir);
    assert(directory.kind === "path");
    const slashed = { ...directory, path: `${dir}/` };
    expect((await evaluateLookup(nix, slashed, ["hello"])).lookups[0]?.kind).toBe("found");
  });

  test("evaluates exactly what was pinned and leaves out Git's own data", async () => {
    const dir = await tempDir(onTestFinished);
    await mkdir(join(dir, "sub", ".git"), { recursive: true });
    await writeFile(join(dir, "sub", ".git", "kept"), "");
    await writeFile(
      join(dir, "default.nix"),
      `{ hello = assert ! builtins.pathExists ./.git && builtins.pathExists ./sub/.git/kept; ${hello}; }`,
    );
    const source = await pinPath(nix, dir);
    await mkdir(join(dir, ".git"));
    await writeFile(join(dir, ".git", "HEAD"), dir);
    expect((await evaluateLookup(nix, source, ["hello"])).lookups[0]?.kind).toBe("found");
  });

  test("refuses a path that has changed since it was pinned", async () => {
    const dir = await tempDir(onTestFinished);
    await writeFile(join(dir, "default.nix"), `{ hello = ${hello}; } # ${dir}`);
    const source = await pinPath(nix, dir);
    await writeFile(join(dir, "default.nix"), "{ }");
    await expect(evaluateLookup(nix, source, ["hello"])).rejects.toThrow(
      /hash mismatch|path mismatch/,
    );
  });

  test("loads a commit of a git repository, on a named branch or wherever it is", async () => {
    const dir = await tempDir(onTestFinished);
    const git = (...args: readonly string[]) =>
      execFileSync(
        "git",
        ["-C", dir, "-c", "user.name=t", "-c", "user.email=t@example.org", ...args],
        {
          encoding: "utf8",
          env: { ...process.env, GIT_AUTHOR_DATE: "@1 +0000", GIT_COMMITTER_DATE: "@1 +0000" },
        },
      ).trim();
    git("init", "--quiet", "--initial-branch=main");
    await writeFile(join(dir, "default.nix"), `{ }`);
    git("add", ".");
    git("commit", "--quiet", "-m", "empty");
    git("checkout", "--quiet", "-b", "side");
    await writeFile(join(dir, "default.nix"), `{ system }: { hello = ${hello}; }`);
    git("commit", "--quiet", "-a", "-m", "hello");
    const commit = git("rev-parse", "HEAD");
    git("checkout", "--quiet", "main");
    // Of a bare repository Nix makes a copy, as of one on another host.
    const bare = join(await tempDir(onTestFinished), "bare.git");
    git("clone", "--quiet", "--bare", dir, bare);
    for (const [url, ref] of [
      [dir, undefined],
      [dir, "refs/heads/side"],
      [bare, undefined],
      [bare, "refs/heads/side"],
    ]) {
      const fresh = await testNix({ env: { HOME: await tempDir(onTestFinished) } });
      const pinned = { kind: "git", url: `file://${url}`, commit } as const;
      const source = ref === undefined ? pinned : { ...pinned, ref };
      const { lookups } = await evaluateLookup(fresh, source, ["hello"]);
      expect(lookups[0]?.kind).toBe("found");
    }
  });

  test("fetches a commit of nixpkgs as the archive of its forge", async () => {
    const dir = await tempDir(onTestFinished);
    const commit = "0123456789abcdef0123456789abcdef01234567";
    await mkdir(join(dir, `nixpkgs-${commit}`));
    await mkdir(join(dir, "archive"));
    await writeFile(
      join(dir, `nixpkgs-${commit}`, "default.nix"),
      `{ system, ... }: { hello = ${hello}; }`,
    );
    execFileSync("tar", [
      "-C",
      dir,
      "-czf",
      join(dir, "archive", `${commit}.tar.gz`),
      `nixpkgs-${commit}`,
    ]);
    const fresh = await testNix({ env: { HOME: await tempDir(onTestFinished) } });
    const source = { kind: "nixpkgs", url: `file://${dir}`, commit } as const;
    const { lookups } = await evaluateLookup(fresh, source, ["hello"]);
    expect(lookups[0]?.kind).toBe("found");
  });

  describe("of a flake", async () => {
    const flakes = await testNix({
      env: { NIX_CONFIG: `${TEST_NIX_CONFIG}experimental-features = flakes\n` },
    });

    async function lockedFlake(onEnd: Ending, outputs: string): Promise<string> {
      const dir = await tempDir(onEnd);
      await writeFile(join(dir, "flake.nix"), `{ outputs = { self }: ${outputs}; }`);
      const pinned = await pinPath(nix, dir);
      assert(pinned.kind === "path");
      return `path:${dir}?narHash=${encodeURIComponent(pinned.narHash)}`;
    }

    test.for([
      ["legacyPackages", `{ legacyPackages.${SYSTEM}.hello = ${hello}; }`],
      ["packages", `{ packages.${SYSTEM}.hello = ${hello}; }`],
      [
        "packages beside legacyPackages",
        `{ packages.${SYSTEM}.hello = ${hello}; legacyPackages.${SYSTEM}.other = ${hello}; }`,
      ],
    ] as const)("takes its %s", async ([, outputs]) => {
      const url = await lockedFlake(onTestFinished, outputs);
      const { lookups } = await evaluateLookup(flakes, { kind: "flake", url }, ["hello"]);
      expect(lookups[0]?.kind, JSON.stringify(lookups)).toBe("found");
    });

    test("refuses one without packages for the system, whatever else it has", async () => {
      for (const outputs of ["{ hello = 1; }", `{ packages.${OTHER_SYSTEM} = { }; }`]) {
        const url = await lockedFlake(onTestFinished, outputs);
        await expect(evaluateLookup(flakes, { kind: "flake", url }, [])).rejects.toThrow(
          /no packages for/,
        );
      }
    });

    test("refuses one that is not locked, and one that is no more what it was locked to", async () => {
      const dir = await tempDir(onTestFinished);
      await writeFile(join(dir, "flake.nix"), "{ outputs = { self }: { }; }");
      const moving: PinnedSource = { kind: "flake", url: `path:${dir}` };
      await expect(evaluateLookup(flakes, moving, [])).rejects.toThrow(
        /is not locked to a revision/,
      );
      const other = `path:${dir}?narHash=sha256-${"A".repeat(43)}=`;
      await expect(evaluateLookup(flakes, { kind: "flake", url: other }, [])).rejects.toThrow(
        /hash mismatch/i,
      );
    });
  });

  const refused: readonly (readonly [title: string, expression: string, message: RegExp])[] = [
    ["a list", "[ ]", /gives a list where a set of packages is needed/],
    [
      "flake outputs without packages for the system",
      `{ packages.${OTHER_SYSTEM} = { }; }`,
      /has no packages for/,
    ],
  ];
  test.for(refused)("refuses %s and says why", async ([, expression, message]) => {
    const source = await packageSet(onTestFinished, nix, expression);
    await expect(evaluateLookup(nix, source, [])).rejects.toThrow(message);
  });
});
