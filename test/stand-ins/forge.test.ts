import { assert, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { endOfFile, temporaryDirectory } from "../origin/fixture.ts";
import { createRepository } from "../origin/sources/git-repository.ts";
import { skipWhere } from "../skip-where.ts";
import type { Fault } from "./faults.ts";
import { missingWorld, openWorld, succeed, type World } from "./world.ts";

const URL_OF_NIXPKGS = "https://github.com/NixOS/nixpkgs";

const atEnd = endOfFile();
let world: World;

const said = (command: readonly string[]) => succeed(world, command);
/** An expression in which `tree` is nixpkgs at a commit. */
const evaluate = (commit: string, expression: string) => [
  ...["nix-instantiate", "--eval", "--option", "download-attempts", "1", "--expr"],
  `let tree = fetchTarball "${URL_OF_NIXPKGS}/archive/${commit}.tar.gz"; in ${expression}`,
];

describe("the forge", skipWhere(missingWorld()), () => {
  beforeAll(async () => {
    world = await openWorld(atEnd, { minver: "2.8", ownStore: true, packages: 0 });
  });

  test("lists its branches to git", async () => {
    const listed = await said(["git", "ls-remote", "--heads", URL_OF_NIXPKGS]);
    const branches = listed.split("\n").map((line) => line.split("\t"));
    expect(branches).toStrictEqual(
      ["master", "nixos-25.11", "nixos-unstable"].map((name) => [
        world.forge.commitOf(name),
        `refs/heads/${name}`,
      ]),
    );
  });

  test("gives git any commit, and nothing of its history where none is wanted", async () => {
    const commit = world.forge.commitOf("nixos-25.11");
    const script = `cd "$(mktemp -d)" && git init --quiet . &&
      git fetch --quiet --depth 1 ${URL_OF_NIXPKGS} ${commit} && git rev-list --count FETCH_HEAD`;
    expect(await said(["sh", "-c", script])).toBe("1");
    const later = await world.forge.move("nixos-25.11", ["tree"]);
    expect(await said(["sh", "-c", script.replace(commit, later)])).toBe("1");
  });

  test("gives Nix an archive of a commit, by way of another host", async () => {
    const commit = world.forge.commitOf("nixos-unstable");
    const seen = world.forge.requests.length;
    expect(await said(evaluate(commit, "(import tree { }).htop.name"))).toBe('"htop-3.4.1.1"');
    expect(world.forge.requests.slice(seen)).toStrictEqual([
      `GET /NixOS/nixpkgs/archive/${commit}.tar.gz`,
      `GET /NixOS/nixpkgs/tar.gz/${commit}`,
    ]);
  });

  test("gives Nix a flake by a branch", async () => {
    const features = ["--extra-experimental-features", "nix-command flakes"];
    const name = await said(["nix", ...features, "eval", "github:NixOS/nixpkgs/master#hello.name"]);
    expect(name).toBe('"hello-2.12.2.1"');
  });

  test("moves a branch to a revision in which what is named is newer", async () => {
    const before = world.forge.commitOf("nixos-unstable");
    const moved = await world.forge.move("nixos-unstable", ["git", "tree"]);
    expect(world.forge.commitOf("nixos-unstable")).toBe(moved);
    expect(world.forge.commitOf("master")).toBe(before);
    const names = "let p = import tree { }; in toString [ p.git.name p.tree.name p.htop.name ]";
    expect(await said(evaluate(moved, names))).toBe('"git-2.51.2.1 tree-2.2.1.1 htop-3.4.1.1"');
  });

  test("serves other repositories beside it", async () => {
    const fork = await createRepository(onTestFinished);
    const commit = await fork.commit("{ }");
    world.forge.add("somebody/nixpkgs", fork.path);
    const listed = await said(["git", "ls-remote", "https://github.com/somebody/nixpkgs.git"]);
    expect(listed).toMatch(new RegExp(`^${commit}\tHEAD`));
  });

  const faults: readonly [fault: Fault, says: RegExp][] = [
    [{ kind: "status", status: 500 }, /HTTP error 500/],
    [{ kind: "missing" }, /HTTP error 404/],
    // Since 2.20 an archive is unpacked while it comes.
    [{ kind: "cut", afterBytes: 2000 }, /Transferred a partial file|truncated gzip input/],
    [{ kind: "corrupt" }, /archive|decompress|truncated|data/i],
    [{ kind: "refuse" }, /[Cc]ouldn't connect|[Ff]ailed to connect/],
  ];
  for (const [fault, says] of faults) {
    test(`has a download of Nix fail by ${fault.kind}, and no longer when it is mended`, async () => {
      const asking = evaluate(
        await world.forge.move("nixos-unstable", ["hello"]),
        "(import tree { }).hello.name",
      );
      world.forge.fault(/tar\.gz\//, fault);
      const failed = await world.run(asking);
      world.forge.mend();
      assert(failed.kind === "exited" && failed.code !== 0, JSON.stringify(failed));
      expect(failed.stderr).toMatch(says);
      // Nix 2.8 keeps an archive that does not unpack: by its ETag it is the right one.
      const again = await world.run(asking, {
        XDG_CACHE_HOME: await temporaryDirectory(onTestFinished),
      });
      assert(again.kind === "exited" && again.code === 0, JSON.stringify(again));
    });
  }

  test("does not know what there is not", async () => {
    const unknown = await world.run(evaluate("0".repeat(40), "tree"));
    assert(unknown.kind === "exited");
    expect(unknown.stderr).toMatch(/HTTP error 404/);
  });
});
