// Counting a small package set with real Nix: what is listed, what counts, and the limits.

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { assert, describe, expect, onTestFinished, test } from "vitest";
import { listPackages } from "../../../origin/popularity/package-set.ts";
import { countSmallSet, SMALL_SET } from "../../../origin/popularity/small-set.ts";
import type { Ending } from "../fixture.ts";
import { OTHER_SYSTEM, packageSet, SYSTEM, tempDir, testNix } from "../nix/fixture.ts";
import { createRepository } from "../sources/git-repository.ts";

const env = { ...process.env, NIX_CONFIG: "sandbox = false\nsubstituters =\n" };
const { signal } = new AbortController();

/** Nothing is ever built: the builder would fail. */
const SET = `let
  make = system: name: inputs: derivation { inherit name inputs system; builder = "/nowhere"; };
  here = make "${SYSTEM}";
  glibc = here "glibc-2.40" [ ];
  ncurses = here "ncurses-6.5" [ glibc ];
  compiler = here "gcc-14" [ glibc ];
  htop = here "htop-3.4" [ ncurses ./default.nix ];
  set = {
    inherit htop;
    HTOP = htop;
    nano = here "nano-8.4" [ ncurses compiler ];
    hello = here "hello-2.12" [ glibc ];
    throwing = throw "renamed";
    unfree = here "unfree-1" [ ] // { meta.license.free = false; outPath = throw "refused"; };
    foreign = make "${OTHER_SYSTEM}" "foreign-1" [ glibc ];
    text = "no package";
    "dotted.name" = here "dotted-1" [ glibc ];
    python3Packages = { recurseForDerivations = true; numpy = here "numpy-2" [ compiler ]; inherit set; };
    private = { secret = here "secret-1" [ glibc ]; };
    self = set // { recurseForDerivations = false; };
  };
in set`;

async function list(onEnd: Ending, expression: string, mostAttributes = 100) {
  const nix = await testNix();
  const source = await packageSet(onEnd, nix, expression);
  return await listPackages({ nix, source, system: SYSTEM, mostAttributes, signal });
}

describe("listPackages", { timeout: 60_000 }, () => {
  test("gives each derivation once, of nested sets those that ask for it", async () => {
    const listed = await list(onTestFinished, SET);
    assert(listed.kind === "listed");
    const attributes = listed.packages.map(({ attribute }) => attribute);
    expect(attributes.toSorted()).toStrictEqual(["HTOP", "hello", "nano", "python3Packages.numpy"]);
  });

  test("says that a set is too large, by its attributes or those of nested sets", async () => {
    expect(await list(onTestFinished, SET, 5)).toStrictEqual({ kind: "too-many", count: 12 });
    const nested = "{ a = { recurseForDerivations = true; x = 1; y = 2; z = 3; }; }";
    expect(await list(onTestFinished, nested, 3)).toStrictEqual({ kind: "too-many", count: 4 });
  });

  test("gives the others where an attribute aborts, without those of nested sets", async () => {
    const aborting = SET.replace("text =", "aborting = abort ''gone''; text =");
    const listed = await list(onTestFinished, aborting);
    assert(listed.kind === "listed", JSON.stringify(listed));
    const attributes = listed.packages.map(({ attribute }) => attribute);
    expect(attributes.toSorted()).toStrictEqual(["HTOP", "hello", "nano"]);
  });

  test("says why a set cannot be listed", async () => {
    const failed = await list(onTestFinished, "{ a = nothing; }");
    assert(failed.kind === "failed");
    expect(failed.message).toMatch(/undefined variable 'nothing'/);
  });
});

describe("countSmallSet", { timeout: 60_000 }, () => {
  test("counts what packages are built with, before anything is built", async () => {
    const source = await packageSet(onTestFinished, await testNix(), SET);
    const counted = await countSmallSet({ env }, source, signal);
    assert(counted.kind === "counted", JSON.stringify(counted));
    expect(counted.data.kind).toBe("derivations");
    expect(counted.data.counted).toBe(4);
    expect(Object.fromEntries(counted.data.counts)).toStrictEqual({ gcc: 2, glibc: 4, ncurses: 2 });
    expect(await countSmallSet({ env }, source, signal)).toStrictEqual(counted);
  });

  test("counts a set that only another system has", async () => {
    const other = SET.replaceAll(SYSTEM, OTHER_SYSTEM);
    const source = await packageSet(onTestFinished, await testNix(), other);
    const counted = await countSmallSet({ env }, source, signal);
    assert(counted.kind === "counted", JSON.stringify(counted));
    expect(counted.data.counts.get("ncurses")).toBe(2);
  });

  test("counts the packages of a flake", async () => {
    const repository = await createRepository(onTestFinished);
    const outputs = `{ outputs = _: { packages.${SYSTEM} = import ./default.nix; }; }`;
    await writeFile(join(repository.path, "flake.nix"), outputs);
    const commit = await repository.commit(SET);
    const url = `git+file://${repository.path}?rev=${commit}`;
    const counted = await countSmallSet({ env }, { kind: "flake", url }, signal);
    assert(counted.kind === "counted", JSON.stringify(counted));
    expect(Object.fromEntries(counted.data.counts)).toStrictEqual({ gcc: 2, glibc: 4, ncurses: 2 });
  });

  test("leaves a set alone that has too many attributes", async () => {
    const many =
      "builtins.listToAttrs (builtins.genList (n: { name = toString n; value = throw n; }) 2001)";
    const source = await packageSet(onTestFinished, await testNix(), many);
    const counted = await countSmallSet({ env }, source, signal);
    expect(counted).toStrictEqual({ kind: "too-large", reason: "it has 2001 attributes" });
  });

  test("gives up on a set that takes too long", async () => {
    const slow = `let ten = builtins.genList (n: n) 10000; times = builtins.foldl';
      in { a = times (a: _: times (b: c: b + c) a ten) 0 ten; }`;
    const source = await packageSet(onTestFinished, await testNix(), slow);
    const limits = { ...SMALL_SET, deadlineMs: 300 };
    const counted = await countSmallSet({ env }, source, signal, limits);
    expect(counted).toStrictEqual({ kind: "too-large", reason: "it was not counted in 0.3 s" });
  });

  test("gives up where Nix does not say in time what derivations refer to", async () => {
    const programs = await tempDir(onTestFinished);
    // Where the store has a folder by name, Nix's database is not read, and Nix is asked.
    const script = `#!/bin/sh
case $1 in path-info) exec sleep 100 ;; esac
PATH=\${PATH#*:} exec nix "$@"
`;
    await writeFile(join(programs, "nix"), script, { mode: 0o755 });
    const slow = { ...env, PATH: `${programs}:${process.env.PATH}`, NIX_STORE_DIR: "/nix/store" };
    const source = await packageSet(onTestFinished, await testNix(), SET);
    const limits = { ...SMALL_SET, deadlineMs: 3000 };
    const counted = await countSmallSet({ env: slow }, source, signal, limits);
    expect(counted).toStrictEqual({ kind: "too-large", reason: "it was not counted in 3 s" });
  });

  test("says why nothing could be counted", async () => {
    const rows: readonly [expression: string, reason: RegExp][] = [
      ["{ }", /no derivations/],
      ["{ a = 1; }", /no derivations/],
      ["1", /gives a int where a set/],
      ["{ a = abort ''gone''; }", /no derivations/],
      ["abort ''gone''", /evaluation aborted .*gone/],
    ];
    const nix = await testNix();
    for (const [expression, reason] of rows) {
      const counted = await countSmallSet(
        { env },
        await packageSet(onTestFinished, nix, expression),
        signal,
      );
      assert(counted.kind === "failed", JSON.stringify(counted));
      expect(counted.reason).toMatch(reason);
    }
  });

  test("ends with the reason of its signal", async () => {
    const source = await packageSet(onTestFinished, await testNix(), SET);
    const reason = new Error("going down");
    await expect(countSmallSet({ env }, source, AbortSignal.abort(reason))).rejects.toThrow(reason);
  });
});
